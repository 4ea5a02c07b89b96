"""Linear quantisation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import rng
from jdl.compressors.compressor import Quantiser, count_of, number_bits
from jdl.types import Key, static

__all__ = ["Uniform", "levelled"]


@struct.dataclass
class Uniform(Quantiser):
    """Round each entry of an array to one of 2^bits - 1 evenly spaced levels, symmetric about zero: int4, int8, ...

    The levels are multiples of max |x| / (2^(bits - 1) - 1), one scale for each array; zero stays zero.

    Rounded to the nearest level, the error of an entry is at most half a scale and no larger than the entry, and the
    largest entry is exact, so ||C(x) - x||^2 <= (1 - 1/d) ||x||^2. With `stochastic`, it is unbiased, with an error of
    at most one scale.

    Sends:
      `bits` bits for each entry, and the scale as a number of the array's own type.

    Args:
      bits: bits of each entry, its sign included, 2 to 16.
      stochastic: whether entries are rounded up or down at random, without bias, instead of to the nearest level.

    References:
      Alistarh, Grubic, Li, Tomioka, Vojnovic 2017, QSGD (there the scale is the norm).
      Wen et al. 2017, TernGrad (the scale is the largest entry, as here; bits=2).
    """

    bits: int = static(4, minimum=2, maximum=16)
    stochastic: bool = static(False)

    def quantise(self, x: jax.Array, sent: jax.Array, key: Key) -> tuple[jax.Array, jax.Array]:
        """What is decoded of the entries of one array that are sent, and their size in bits. Zero stays zero."""
        decoded = levelled(x, 2 ** (self.bits - 1) - 1, key if self.stochastic else None)
        return decoded, self.size(count_of(sent), x)

    def size(self, count: jax.Array, x: jax.Array) -> jax.Array:
        """The bits of `count` entries of one array like `x`."""
        return count * self.bits + number_bits(x)


def levelled(x: jax.Array, levels: int, key: Key | None) -> jax.Array:
    """Round an array to multiples of max |x| / levels: to the nearest ones, or by chance if there is a key."""
    top = jnp.max(jnp.abs(x))
    # Divided before it is scaled: the scale of a tiny array would be no normal number.
    share = x / jnp.where(top == 0, jnp.ones_like(top), top) * jnp.asarray(levels, x.dtype)
    if key is None:
        level = jnp.round(share)
    else:
        level = jnp.floor(share + rng.uniform(key, x.shape, x.dtype))
    return jnp.clip(level, -levels, levels) / jnp.asarray(levels, x.dtype) * top
