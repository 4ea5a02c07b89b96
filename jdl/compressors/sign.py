"""One bit for each entry."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.compressors.compressor import Quantiser, count_of, number_bits, shares
from jdl.types import Key, static

__all__ = ["Sign"]


@struct.dataclass
class Sign(Quantiser):
    """Send the sign of each entry of an array, and one scale: C(x) = (||x||_1 / d) sign(x), where the sign of 0 is 1.

    Contraction: ||C(x) - x||^2 = (1 - ||x||_1^2 / (d ||x||^2)) ||x||^2 exactly. Without `scaled`, C(x) = sign(x), which
    contracts nothing, and is meant for methods that count votes.

    Sends:
      1 bit for each entry, and, with `scaled`, the scale as a number of the array's own type.

    Args:
      scaled: whether the mean magnitude is sent as well.

    References:
      Karimireddy, Rebjock, Stich, Jaggi 2019, Error Feedback Fixes SignSGD and other Gradient Compression Schemes
      (scaled; with `ErrorFeedback`, EF-SignSGD).
      Bernstein, Wang, Azizzadenesheli, Anandkumar 2018, signSGD (not scaled).
    """

    scaled: bool = static(True)

    def quantise(self, x: jax.Array, sent: jax.Array, key: Key) -> tuple[jax.Array, jax.Array]:
        """What is decoded of the entries of one array that are sent, and their size in bits."""
        share, top = shares(jnp.where(sent, x, jnp.zeros_like(x)))
        count = count_of(sent)
        if self.scaled:
            size = jnp.sum(jnp.abs(share)) / jnp.maximum(count, 1).astype(share.dtype) * top
            bits = count + number_bits(x)
        else:
            size, bits = jnp.where(jnp.isnan(share), share, 1), count  # what is no number must arrive as none
        decoded = jnp.where(share < 0, -size, size).astype(x.dtype)
        return jnp.where(sent, decoded, jnp.zeros_like(x)), bits
