"""Random rounding to powers of two."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import rng
from jdl.compressors.compressor import Quantiser, count_of
from jdl.types import Key, static

__all__ = ["Natural"]


@struct.dataclass
class Natural(Quantiser):
    """Natural compression: each entry is rounded to one of the two powers of two around it, at random, without bias.

    For 2^a <= |x| < 2^(a+1), |C(x)| is 2^(a+1) with probability |x| / 2^a - 1. Unbiased, with
    E ||C(x) - x||^2 <= ||x||^2 / 8. Without `stochastic`, an entry goes to the nearer of the two, at a tie to the
    larger one, and ||C(x) - x||^2 <= ||x||^2 / 9. Numbers above the largest power of two of their type are rounded to
    that one.

    Sends:
      the sign and the exponent of each entry: 9 bits of a float32.

    Args:
      stochastic: whether entries are rounded at random, without bias, instead of to the nearer power of two.

    References:
      Horvath, Ho, Horvath, Sahu, Canini, Richtarik 2022, Natural Compression for Distributed Deep Learning.
    """

    stochastic: bool = static(True)

    def quantise(self, x: jax.Array, sent: jax.Array, key: Key) -> tuple[jax.Array, jax.Array]:
        """What is decoded of the entries of one array that are sent, and their size in bits. Zero stays zero."""
        info, width = jnp.finfo(x.dtype), x.dtype.itemsize * 8
        whole = jnp.dtype(f"uint{width}")
        fraction = jnp.asarray(2**info.nmant - 1, whole)  # the bits of the mantissa
        pattern = jax.lax.bitcast_convert_type(x, whole)
        # A mantissa m is a fraction of 2^nmant. A random number below 2^nmant added to it is carried over into the
        # exponent with probability m / 2^nmant; half of 2^nmant, where m is at least the other half.
        half = jnp.full(x.shape, 2 ** (info.nmant - 1), whole)
        carried = pattern + (_bits(key, x.shape, whole) & fraction if self.stochastic else half)
        decoded = jax.lax.bitcast_convert_type(carried & ~fraction, x.dtype)
        largest = jnp.asarray(2.0 ** (info.maxexp - 1), x.dtype)
        decoded = jnp.clip(decoded, -largest, largest)
        return jnp.where(jnp.isfinite(x), decoded, x), count_of(sent) * (1 + info.nexp)


def _bits(key: Key, shape: tuple[int, ...], whole: jnp.dtype) -> jax.Array:
    return rng.bits(key, shape) if whole == jnp.uint32 else jax.random.bits(key, shape, whole)
