"""Quantisation by bins as wide as the spread of the entries, each of which is decoded as its mean."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.compressors.compressor import by_array, count_of, number_bits
from jdl.types import Key, Message, number, static

__all__ = ["Statistical"]


@struct.dataclass
class Statistical:
    """Put each nonzero entry of an array into one of 2^bits bins, and decode it as the mean of its bin.

    The bins are `sigmas` standard deviations wide in total, equal in width, and lie about the mean of the entries; the
    outer two also take what lies beyond them. The sum of the entries is kept, and ||C(x) - x||^2 is at most the sum of
    the squared differences of the entries to their mean. Zeros stay zero: they are what a sparsifier left out.

    Sends:
      `bits` bits for each entry, and the mean of all entries and of each bin as numbers of the array's own type.

    Args:
      bits: bits of each entry, 1 to 8.
      sigmas: width of all bins together, in standard deviations of the entries.

    References:
      Sarfi, Therien, Lidin, Belilovsky 2025, Communication Efficient LLM Pre-training with SparseLoCo; the bins are
      those of the authors' code (`sparseloco.py`, `_quantize`).
    """

    bits: int = static(2, minimum=1, maximum=8)
    sigmas: float = number(6.0, minimum=1e-6)

    def init(self, message: Message) -> tuple[()]:
        return ()

    def __call__(self, memory: tuple[()], message: Message, key: Key) -> tuple[Message, tuple[()], jax.Array]:
        sent, bits = by_array(lambda x, key: (self.of(x, x != 0), self.size(jnp.float32(x.size), x)), message, key)
        return sent, memory, bits

    def quantise(self, x: jax.Array, sent: jax.Array, key: Key) -> tuple[jax.Array, jax.Array]:
        """What is decoded of the entries of one array that are sent, and their size in bits."""
        return self.of(x, sent & (x != 0)), self.size(count_of(sent), x)

    def of(self, x: jax.Array, sent: jax.Array) -> jax.Array:
        """What is decoded of the entries of one array that are sent, and 0 for the others."""
        bins, count = 2**self.bits, jnp.sum(sent, dtype=x.dtype)
        over = lambda values: jnp.sum(jnp.where(sent, values, 0))
        mean = over(x) / jnp.maximum(count, 1)
        centred = jnp.where(sent, x - mean, 0)
        deviation = jnp.sqrt(over(jnp.square(centred)) / jnp.maximum(count - 1, 1))
        width = jnp.asarray(self.sigmas, x.dtype) * deviation / bins
        width = jnp.where((width > 0) & jnp.isfinite(width), width, jnp.ones_like(width))
        level = jnp.clip(jnp.round(centred / width) + bins // 2, 0, bins - 1)

        if bins <= 16:
            # Bin by bin, not by a sum into segments: XLA on a CPU scatters one entry at a time.
            def decoded_in(bin):
                inside = sent & (level == bin)
                held = jnp.sum(jnp.where(inside, centred, 0)) / jnp.maximum(jnp.sum(inside, dtype=x.dtype), 1)
                return jnp.where(inside, mean + held, 0)

            decoded = jnp.sum(jax.vmap(decoded_in)(jnp.arange(bins, dtype=x.dtype)), axis=0)
        else:
            bin = jnp.where(sent, level, 0).astype(jnp.int32)
            held = jnp.zeros(bins, x.dtype).at[bin].add(centred)
            counts = jnp.zeros(bins, jnp.int32).at[bin].add(sent.astype(jnp.int32))
            decoded = jnp.where(sent, mean + (held / jnp.maximum(counts, 1).astype(x.dtype))[bin], 0)
        return jnp.where(jnp.isnan(mean) & sent, mean, decoded)  # a NaN lies in no bin, and must arrive as one

    def size(self, count: jax.Array, x: jax.Array) -> jax.Array:
        """The bits of `count` entries of one array like `x`."""
        return count * self.bits + (1 + 2**self.bits) * number_bits(x)
