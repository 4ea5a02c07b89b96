"""Decimal rounding."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl.compressors.compressor import Quantiser, count_of, widened
from jdl.types import Key, static

__all__ = ["SignificantDigits"]


@struct.dataclass
class SignificantDigits(Quantiser):
    """Round each entry to a number of significant decimal digits: 0.012345 becomes 0.0123 with three.

    The error of an entry is at most 5 10^-digits times its magnitude, so ||C(x) - x||^2 <= 25 10^(-2 digits) ||x||^2.
    This is computed in float32 at least, so that with six digits a number close to a tie may fall to either side.

    Sends:
      for each entry its sign, its digits as a whole number of ceil(log2 10^digits) bits, and a decimal exponent, which
      takes 7 bits for float32 (10 for float64, 4 for float16).

    Args:
      digits: number of decimal digits, 1 to 6.
    """

    digits: int = static(3, minimum=1, maximum=6)

    def quantise(self, x: jax.Array, sent: jax.Array, key: Key) -> tuple[jax.Array, jax.Array]:
        """What is decoded of the entries of one array that are sent, and their size in bits. Zero stays zero."""
        least, most = _exponents(x.dtype)
        wide = widened(x)
        magnitude = jnp.where((wide == 0) | ~jnp.isfinite(wide), jnp.ones_like(wide), jnp.abs(wide))
        exponent = jnp.clip(jnp.floor(jnp.log10(magnitude)).astype(jnp.int32), least, most)
        # 10^exponent itself may be no normal number, so it is applied in two halves.
        half = exponent // 2
        powers = jnp.asarray(10.0 ** np.arange(least // 2 - 1, most // 2 + 3), wide.dtype)
        one, other = (jnp.take(powers, part - (least // 2 - 1)) for part in (half, exponent - half))
        places = 10.0 ** (self.digits - 1)
        decoded = jnp.round(wide / one / other * places) / places * one * other
        decoded = jnp.where(jnp.isfinite(wide), decoded, wide).astype(x.dtype)
        size = 1 + math.ceil(math.log2(10**self.digits)) + math.ceil(math.log2(most - least + 1))
        return decoded, count_of(sent) * size


def _exponents(dtype: jnp.dtype) -> tuple[int, int]:
    """The decimal exponents of the smallest and of the largest number of a type."""
    info = jnp.finfo(dtype)
    return math.floor(math.log10(float(info.smallest_normal)) - info.nmant * math.log10(2)), math.floor(
        math.log10(float(info.max))
    )
