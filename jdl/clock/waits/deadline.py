"""A server, or a peer, that waits for a time."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.types import number

__all__ = ["Deadline"]


@struct.dataclass
class Deadline:
    """What arrives within `seconds` after a server began the round, or a peer ended its steps, is taken; the rest lost.

    It goes on earlier when all messages have arrived. A round in which nobody meets the deadline of a server changes
    nothing but the clocks; a peer goes on alone.

    Args:
      seconds: how long it waits: a server from its broadcast on; a peer from when it has computed what depends on no
        message of this exchange, even if the messages travel while it computes the next steps.

    >>> keep, ends = Deadline(2.5).until(1.0, jnp.array([3.0, 4.0]), jnp.array([True, True]))
    >>> keep.tolist(), float(ends)
    ([True, False], 3.5)
    """

    seconds: float = number(minimum=0)

    def until(self, began: jax.Array, arrivals: jax.Array, used: jax.Array) -> tuple[jax.Array, jax.Array]:
        limit = began + jnp.float32(self.seconds)
        last = jnp.max(jnp.where(used, arrivals, -jnp.inf))
        return used & (arrivals <= limit), jnp.clip(last, began, limit)

    def until_each(
        self, began: jax.Array, arrivals: jax.Array, used: jax.Array, into: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The same of many that wait; see `jdl.types.Wait`."""
        limit = began + jnp.float32(self.seconds)
        last = jnp.full_like(began, -jnp.inf).at[into].max(jnp.where(used, arrivals, -jnp.inf))
        return used & (arrivals <= limit[into]), jnp.clip(last, began, limit)
