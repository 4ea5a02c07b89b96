"""Steps of which a share is slower, for any number of nodes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl.types import Key, number, static

__all__ = ["SlowShare"]


@struct.dataclass
class SlowShare:
    """Some nodes, drawn at random once, are slower than the others by a factor, as those of `jdl.clock.slow` are.

    Args:
      value: the seconds of a step of the other nodes.
      share: the share of slow nodes, in [0, 1]; their number is rounded to the nearest whole number.
      factor: how many times slower they are.
      seed: draws them; the same for all seeds of a run.

    >>> sorted(SlowShare(1.0, share=0.2).seconds(0, None, 10).tolist())[-3:]
    [1.0, 10.0, 10.0]
    """

    value: float = number(0.1, minimum=0)
    share: float = number(0.1, minimum=0, maximum=1)
    factor: float = number(10.0, minimum=0)
    seed: int = static(0, minimum=0)

    def seconds(self, t: jax.Array, key: Key, n: int) -> jax.Array:
        place = np.argsort(np.random.default_rng(self.seed).permutation(n)).astype(np.float32)
        is_slow = place < jnp.round(jnp.asarray(self.share, jnp.float32) * n)
        value = jnp.asarray(self.value, jnp.float32)
        return jnp.where(is_slow, value * jnp.asarray(self.factor, jnp.float32), value)
