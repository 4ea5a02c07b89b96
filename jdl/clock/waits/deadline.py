"""A server that waits for a time."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.types import number

__all__ = ["Deadline"]


@struct.dataclass
class Deadline:
    """The server takes what arrives within `seconds` after it began the round, and drops what comes later.

    It goes on earlier when everybody has answered. A round in which nobody meets the deadline changes nothing but the
    clocks.

    Args:
      seconds: how long it waits, counted from its broadcast.

    >>> keep, ends = Deadline(2.5).until(1.0, jnp.array([3.0, 4.0]), jnp.array([True, True]))
    >>> keep.tolist(), float(ends)
    ([True, False], 3.5)
    """

    seconds: float = number(minimum=0)

    def until(self, began: jax.Array, arrivals: jax.Array, used: jax.Array) -> tuple[jax.Array, jax.Array]:
        limit = began + jnp.float32(self.seconds)
        last = jnp.max(jnp.where(used, arrivals, -jnp.inf))
        return used & (arrivals <= limit), jnp.clip(last, began, limit)
