"""Quantisation to randomly chosen levels: private without noise."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.compressors.compressor import floating
from jdl.types import Key, Message, number, static

__all__ = ["RQM"]


@struct.dataclass
class RQM:
    """Randomised quantisation mechanism: each entry is rounded to one of two levels out of a random subset of levels.

    Of m levels, evenly spaced from -(c + D) to c + D, the two ends are kept and each other one with probability q, anew
    for each entry. An entry, clipped to [-c, c], goes to the nearest kept level below or above, without bias. The
    random choice of levels makes it private, as `jdl.privacy.rqm_renyi` says: more so for a smaller q and a larger D.

    Sends:
      the bits of one of m whole numbers for each entry.

    Args:
      clip: c, the largest modulus of an entry, above 0.
      margin: D, by how much the levels go beyond c, at least 0.
      keep: q, the probability with which a level is kept, 0 to 1.
      levels: m, at least 2.

    References:
      Youn, Hu, Ziani, Abernethy 2023, Randomized Quantization is All You Need for Differential Privacy in Federated
      Learning (abstract read; the mechanism is the project's reading of it).
    """

    clip: float = number(1.0, minimum=0)
    margin: float = number(0.5, minimum=0)
    keep: float = number(0.42, minimum=0, maximum=1)
    levels: int = static(16, minimum=2)

    def init(self, message: Message) -> tuple[()]:
        return ()

    def __call__(self, memory: tuple[()], message: Message, key: Key) -> tuple[Message, tuple[()], jax.Array]:
        numbers, joined, other_bits = floating(message)
        keys = jax.random.split(key, max(1, len(numbers)))
        sent = [self._rounded(x, one) for x, one in zip(numbers, keys, strict=False)]
        width = (self.levels - 1).bit_length()
        return joined(sent), memory, jnp.float32(other_bits + width * sum(x.size for x in numbers))

    def _rounded(self, x: jax.Array, key: Key) -> jax.Array:
        last = self.levels - 1
        clip, edge = jnp.asarray(self.clip, x.dtype), jnp.asarray(self.clip + self.margin, x.dtype)
        step = 2 * edge / last
        place = (jnp.clip(x, -clip, clip) + edge) / jnp.where(step > 0, step, 1)
        below = jnp.clip(jnp.floor(place), 0, last - 1)
        down, up, side = (jax.random.uniform(one, x.shape, x.dtype, 1e-7, 1) for one in jax.random.split(key, 3))
        # How many levels in a row are not kept is a geometric number.
        none = jnp.log1p(-jnp.asarray(self.keep, x.dtype))
        skipped = lambda u: jnp.floor(jnp.log(u) / none)
        low = jnp.maximum(below - skipped(down), 0)
        high = jnp.minimum(below + 1 + skipped(up), last)
        level = jnp.where(side * (high - low) < place - low, high, low)
        return level * step - edge
