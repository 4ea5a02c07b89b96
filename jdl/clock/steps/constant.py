"""Steps that always take the same time."""

from __future__ import annotations

import jax
from flax import struct

from jdl.clock.steps.of_each import of_each
from jdl.types import Key, number

__all__ = ["Constant"]


@struct.dataclass
class Constant:
    """A step takes the same time in every round.

    Args:
      value: the seconds of a step, f[] or f[n], not negative.

    >>> Constant(0.5).seconds(0, None, 3).tolist()
    [0.5, 0.5, 0.5]
    """

    value: jax.Array | float = number(0.1, minimum=0)

    def seconds(self, t: jax.Array, key: Key, n: int) -> jax.Array:
        return of_each("Constant.value", self.value, n)
