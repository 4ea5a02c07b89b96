"""Steps of exponential duration."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.clock.steps.of_each import of_each
from jdl.types import Key, number

__all__ = ["Exponential"]


@struct.dataclass
class Exponential:
    """The time of a step is drawn anew in each round from an exponential distribution.

    Of n nodes, the k-th ends after (H_n - H_{n-k}) times the mean in expectation, with H the harmonic numbers.

    Args:
      mean: the mean time of a step in seconds, f[] or f[n].

    >>> bool((Exponential(1.0).seconds(0, jax.random.key(0), 4) > 0).all())
    True
    """

    mean: jax.Array | float = number(0.1, minimum=0)

    def seconds(self, t: jax.Array, key: Key, n: int) -> jax.Array:
        return of_each("Exponential.mean", self.mean, n) * jax.random.exponential(key, (n,), jnp.float32)
