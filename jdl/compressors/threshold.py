"""Sparsification by a threshold."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.compressors.compressor import Sparsifier
from jdl.compressors.indices import index_of_data, place_bits
from jdl.types import Key, number, static

__all__ = ["Threshold"]

RELATIVE = ("max", "none", "rms")


@struct.dataclass
class Threshold(Sparsifier):
    """Keep the entries of each array whose magnitude is at least a threshold: |x_i| >= threshold * scale, x_i not zero.

    Without a scale no entry is changed by more than the threshold. With "rms", where a share s of the entries is left
    out, ||C(x) - x||^2 <= s threshold^2 ||x||^2. With "max" and a threshold of at most 1 the largest entry always
    travels, so ||C(x) - x||^2 <= (1 - 1/d) ||x||^2.

    Sends:
      for each array how many entries follow (32 bits), and for each entry kept the number and its place.

    Args:
      threshold: the smallest magnitude that travels, in units of the scale, at least 0.
      relative: the scale: "none" for 1, "max" for the largest magnitude of the array, "rms" for its root mean square.
      index: code of the places: "log2" (ceil(log2 d) bits each), "elias" (gaps), "entropy" (a lower bound).

    Raises:
      InputError: if there is no such scale or code.

    References:
      Sahu, Dutta, Abdelmoniem, Banerjee, Canini, Kalnis 2021, Rethinking Gradient Sparsification as Total Error
      Minimization (hard thresholds).
    """

    threshold: float = number(0.1, minimum=0)
    relative: str = static("max")
    index: str = static("log2")

    def __post_init__(self) -> None:
        if isinstance(self.relative, str):
            object.__setattr__(self, "relative", checks.known("relative", self.relative, RELATIVE))
        object.__setattr__(self, "index", index_of_data(self.index))

    def choose(self, x: jax.Array, key: Key) -> tuple[jax.Array, jax.Array, jax.Array]:
        """What is kept of one array, which entries these are, and the bits that say so."""
        magnitude = jnp.abs(x)
        limit = jnp.asarray(self.threshold, x.dtype)
        if self.relative != "none":
            top = jnp.max(magnitude)
            limit = limit * top
            if self.relative == "rms":  # squares of shares of the largest entry neither overflow nor vanish
                limit = limit * jnp.sqrt(jnp.mean(jnp.square(x / jnp.where(top == 0, jnp.ones_like(top), top))))
        # What is no number is not below the limit, and travels.
        sent = ~(magnitude < limit) & (x != 0)
        return jnp.where(sent, x, jnp.zeros_like(x)), sent, 32 + place_bits(sent, self.index)
