"""Quantisation by bins that hold equally many entries."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.compressors.compressor import Quantiser, count_of, number_bits
from jdl.types import Key, static

__all__ = ["Quantile"]


@struct.dataclass
class Quantile(Quantiser):
    """Bins of equally many entries, 2^bits for each array: an entry is decoded as the nearest of their means.

    The borders of the bins are the quantiles of the entries, so that means are close to each other where entries are
    dense. ||C(x) - x||^2 is at most the sum of the squared differences of the entries to their mean. An array of no
    more than 2^bits entries arrives as it is.

    Sends:
      `bits` bits for each entry, and the mean of each bin (no more than there are entries) as a number of the array's
      own type.

    Args:
      bits: bits of each entry, 1 to 8.

    References:
      The bins and their means are those of hivemind (`hivemind/compression/quantization.py`, Quantile8BitQuantization);
      there the quantiles of large arrays are estimated, and an entry is decoded as the mean of its own bin.
    """

    bits: int = static(8, minimum=1, maximum=8)

    def quantise(self, x: jax.Array, sent: jax.Array, key: Key) -> tuple[jax.Array, jax.Array]:
        """What is decoded of the entries of one array that are sent, and their size in bits."""
        flat, taken = x.reshape(-1), sent.reshape(-1)
        count = count_of(sent)
        bins = min(2**self.bits, x.size)
        ranked = jnp.sort(jnp.where(taken, flat, jnp.asarray(jnp.inf, x.dtype)))  # what is not sent comes last
        # The first rank of each bin. Ranks are products of small whole numbers, in pieces that fit 32 bits.
        number = jnp.sum(taken, dtype=jnp.int32)
        bin = jnp.arange(bins + 1, dtype=jnp.int32)
        first = bin * (number // bins) + bin * (number % bins) // bins
        ranks = first[:-1, None] + jnp.arange(-(-x.size // bins), dtype=jnp.int32)[None]
        inside = ranks < first[1:, None]
        members = jnp.where(inside, jnp.take(ranked, jnp.minimum(ranks, x.size - 1)), jnp.zeros((), x.dtype))
        sizes = jnp.maximum(jnp.sum(inside, axis=1, dtype=jnp.int32), 1).astype(x.dtype)
        means = jnp.sum(members / sizes[:, None], axis=1)
        means = jnp.where(inside[:, 0], means, jnp.max(means))  # with fewer entries than bins some bins are empty
        borders = means[:-1] / 2 + means[1:] / 2
        decoded = jnp.take(means, jnp.searchsorted(borders, flat))
        decoded = jnp.where(jnp.isnan(flat), flat, decoded)
        decoded = jnp.where(taken, decoded, jnp.zeros_like(flat)).reshape(x.shape)
        return decoded, count * self.bits + bins * number_bits(x)
