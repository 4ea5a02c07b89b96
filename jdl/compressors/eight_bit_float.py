"""Floating-point numbers of eight bits."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.compressors.compressor import Quantiser, count_of, number_bits, shares
from jdl.types import Key, static

__all__ = ["EightBitFloat"]

FORMATS = {"e4m3": (3, -6, 448.0), "e5m2": (2, -14, 57344.0)}  # bits of the mantissa, least exponent, largest number


@struct.dataclass
class EightBitFloat(Quantiser):
    """Round each entry to a floating-point number of eight bits, scaled so that the largest entry fits.

    The relative error of an entry is at most 2^-4 ("e4m3") or 2^-3 ("e5m2"), until entries are smaller than the
    largest one by a factor of about 3e-5 or 1e-9, where the absolute error stays the same and small ones become zero.
    ||C(x) - x||^2 <= 2^-8 ||x||^2 (2^-6 for "e5m2"), apart from these.

    Sends:
      8 bits for each entry, and the scale of each array as a number of its own type.

    Args:
      format: "e4m3", four bits of exponent and three of mantissa, to 448; or "e5m2", to 57,344.

    Raises:
      InputError: if the format is neither.

    References:
      Micikevicius et al. 2022, FP8 Formats for Deep Learning.
    """

    format: str = static("e4m3")

    def __post_init__(self) -> None:
        if isinstance(self.format, str):
            object.__setattr__(self, "format", checks.known("format", self.format, FORMATS))

    def quantise(self, x: jax.Array, sent: jax.Array, key: Key) -> tuple[jax.Array, jax.Array]:
        """What is decoded of the entries of one array that are sent, and their size in bits. Zero stays zero."""
        mantissa, least, largest = FORMATS[self.format]
        share, top = shares(x)
        units = share.astype(jnp.float32) * largest
        # The power of two below a number: its bits without those of the mantissa. Below the least one, steps are equal.
        pattern = jax.lax.bitcast_convert_type(units, jnp.uint32) & jnp.uint32(0x7F800000)
        power = jnp.maximum(jax.lax.bitcast_convert_type(pattern, jnp.float32), 2.0**least)
        step = power * 2.0**-mantissa
        rounded = jnp.round(units / step) * step / largest
        rounded = jnp.where(jnp.isnan(units), units, rounded).astype(share.dtype)
        return (rounded * top).astype(x.dtype), count_of(sent) * 8 + number_bits(x)
