"""Random ternary numbers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.compressors.compressor import Quantiser, count_of, number_bits
from jdl.compressors.uniform import levelled
from jdl.types import Key, number

__all__ = ["TernGrad"]


@struct.dataclass
class TernGrad(Quantiser):
    """Round each entry of an array at random to -s, 0 or s, where s is the largest magnitude: P(s) = |x_i| / s.

    Unbiased, with E ||C(x) - x||^2 = sum_i |x_i| (s - |x_i|). One large entry makes nearly all others zero, so the
    published method first clips entries to `clip` standard deviations of the array, which is a bias. (An array of equal
    entries has no deviation: clipped, it becomes zero.)

    Sends:
      2 bits for each entry, and s as a number of the array's own type.

    Args:
      clip: the largest magnitude, in standard deviations of the entries: inf for none, 2.5 as published.

    References:
      Wen, Xu, Yan, Wu, Wang, Chen, Li 2017, TernGrad: Ternary Gradients to Reduce Communication in Distributed Deep
      Learning.
    """

    clip: float = number(float("inf"), minimum=0)

    def quantise(self, x: jax.Array, sent: jax.Array, key: Key) -> tuple[jax.Array, jax.Array]:
        """What is decoded of the entries of one array that are sent, and their size in bits. Zero stays zero."""
        count = count_of(sent)
        some = jnp.maximum(count, 1).astype(x.dtype)
        over = lambda values: jnp.sum(jnp.where(sent, values, jnp.zeros_like(values)))
        deviation = jnp.sqrt(over(jnp.square(x - over(x) / some)) / some)
        clip = jnp.asarray(self.clip, x.dtype)
        limit = jnp.where(jnp.isinf(clip), clip, clip * jnp.where(jnp.isinf(clip), jnp.zeros_like(clip), deviation))
        return levelled(jnp.clip(x, -limit, limit), 1, key), 2 * count + number_bits(x)
