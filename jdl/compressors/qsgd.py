"""Random quantisation in units of the norm."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import struct

from jdl import rng
from jdl.compressors.compressor import Quantiser, count_of, number_bits, shares
from jdl.types import Key, static

__all__ = ["QSGD"]


@struct.dataclass
class QSGD(Quantiser):
    """Round the magnitudes of an array at random to levels of its norm: C(x_i) = ||x|| sign(x_i) q_i / s.

    q_i = floor(s |x_i| / ||x|| + u_i), with u_i uniform in [0, 1) and s = `levels`.

    Unbiased, with E ||C(x) - x||^2 <= omega ||x||^2, omega = min(d / s^2, sqrt(d) / s), where d is the size of the
    array. With `contractive`, what is decoded is divided by 1 + omega, so that E ||C(x) - x||^2 <= (1 - 1/(1 + omega))
    ||x||^2, as `Choco` and BEER need it. With few levels omega is above one; without `contractive`, a decoded message
    is then mostly noise.

    Sends:
      ceil(log2(2 s + 1)) bits for each entry, and the norm as a number of the array's own type.

    Args:
      levels: number s of levels above zero, at least 1: 7 for 4 bits, 127 for 8 bits.
      contractive: whether what is decoded is divided by 1 + omega.

    References:
      Alistarh, Grubic, Li, Tomioka, Vojnovic 2017, QSGD: Communication-Efficient SGD via Gradient Quantization and
      Encoding, lemma 3.1 (there the levels are encoded by Elias' code).
      Koloskova, Stich, Jaggi 2019, Decentralized Stochastic Optimization and Gossip Algorithms with Compressed
      Communication (divided by 1 + omega).
    """

    levels: int = static(7, minimum=1)
    contractive: bool = static(False)

    def quantise(self, x: jax.Array, sent: jax.Array, key: Key) -> tuple[jax.Array, jax.Array]:
        """What is decoded of the entries of one array that are sent, and their size in bits. Zero stays zero."""
        share, top = shares(x)
        norm = jnp.sqrt(jnp.sum(jnp.square(share)))
        scaled = jnp.abs(share) / jnp.where(norm == 0, jnp.ones_like(norm), norm) * self.levels
        # Rounding errors could lift the only entry of an array above the last level.
        level = jnp.minimum(jnp.floor(scaled + rng.uniform(key, x.shape, scaled.dtype)), self.levels)
        count = count_of(sent)
        unit = (norm * top).astype(x.dtype).astype(scaled.dtype) / self.levels
        if self.contractive:
            unit = unit / (1 + self.omega(count)).astype(unit.dtype)
        decoded = (jnp.sign(share) * level * unit).astype(x.dtype)
        return decoded, count * math.ceil(math.log2(2 * self.levels + 1)) + number_bits(x)

    def omega(self, d: jax.Array) -> jax.Array:
        """The bound of the relative variance for an array of d entries."""
        return jnp.minimum(d / self.levels**2, jnp.sqrt(d) / self.levels)

    def relative_error(self, d: int) -> float:
        """The bound of E ||C(x) - x||^2 / ||x||^2 over arrays of d entries: below 1, it contracts."""
        omega = min(d / self.levels**2, math.sqrt(d) / self.levels)
        return omega / (1 + omega) if self.contractive else omega
