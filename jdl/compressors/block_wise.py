"""Linear quantisation, a scale for each block."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.compressors.compressor import Quantiser, count_of, number_bits
from jdl.compressors.uniform import levelled
from jdl.types import Key, static

__all__ = ["BlockWise"]


@struct.dataclass
class BlockWise(Quantiser):
    """Round each entry to one of 2^bits - 1 evenly spaced levels, symmetric about zero, with a scale for each block.

    An array is cut into blocks of `block` consecutive entries. As with `Uniform`, the levels of a block are multiples
    of its largest magnitude over 2^(bits - 1) - 1, so a large entry makes only its own block coarse. The error of an
    entry is at most half a scale, and ||C(x) - x||^2 <= (1 - 1/block) ||x||^2.

    Sends:
      `bits` bits for each entry, and a scale for each block as a number of the array's own type.

    Args:
      bits: bits of each entry, its sign included, 2 to 16.
      block: number of entries of a block, at least 1; the last block of an array may be shorter.
      stochastic: whether entries are rounded up or down at random, without bias, instead of to the nearest level.

    References:
      Dettmers, Lewis, Shleifer, Zettlemoyer 2022, 8-bit Optimizers via Block-wise Quantization (there the levels are
      not evenly spaced).
    """

    bits: int = static(8, minimum=2, maximum=16)
    block: int = static(4096, minimum=1)
    stochastic: bool = static(False)

    def quantise(self, x: jax.Array, sent: jax.Array, key: Key) -> tuple[jax.Array, jax.Array]:
        """What is decoded of the entries of one array that are sent, and their size in bits. Zero stays zero."""
        block = min(self.block, x.size)
        blocks = -(-x.size // block)
        flat = jnp.pad(x.reshape(-1), (0, blocks * block - x.size)).reshape(blocks, block)
        levels, keys = 2 ** (self.bits - 1) - 1, jax.random.split(key, blocks)
        rounded = jax.vmap(lambda x, key: levelled(x, levels, key if self.stochastic else None))(flat, keys)
        decoded = rounded.reshape(-1)[: x.size].reshape(x.shape)
        return decoded, count_of(sent) * self.bits + blocks * number_bits(x)
