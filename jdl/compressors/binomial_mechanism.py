"""Quantisation with binomial noise: few bits, and private."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl.compressors.compressor import floating
from jdl.types import Key, Message, number, static

__all__ = ["BinomialMechanism"]

WORD = 32


@struct.dataclass
class BinomialMechanism:
    """cpSGD: entries are rounded at random to k levels, and a binomial number of levels is added as noise.

    An entry, clipped to [-X, X], is rounded up or down to one of k evenly spaced levels without bias; the sender adds
    Binomial(m, 1/2), and the receiver subtracts m / 2. With s = 2X / (k - 1), the distance of levels, the result is
    unbiased, and the noise has the variance s^2 m / 4. Messages stay whole numbers, so a sum of them, as secure
    aggregation computes it, has binomial noise as well.

    Sends:
      the bits of one of k + m whole numbers for each entry.

    Args:
      clip: X, the largest modulus of an entry, above 0.
      levels: k, at least 2.
      trials: m, at least 0; with 0 there is no noise.

    References:
      Agarwal, Suresh, Yu, Kumar, McMahan 2018, cpSGD: Communication-Efficient and Differentially-Private Distributed
      SGD, section 4.
    """

    clip: float = number(1.0, minimum=0)
    levels: int = static(16, minimum=2)
    trials: int = static(64, minimum=0)

    def init(self, message: Message) -> tuple[()]:
        return ()

    def __call__(self, memory: tuple[()], message: Message, key: Key) -> tuple[Message, tuple[()], jax.Array]:
        numbers, joined, other_bits = floating(message)
        keys = jax.random.split(key, max(1, len(numbers)))
        sent = [self._noisy(x, one) for x, one in zip(numbers, keys, strict=False)]
        width = (self.levels + self.trials - 1).bit_length()
        return joined(sent), memory, jnp.float32(other_bits + width * sum(x.size for x in numbers))

    def _noisy(self, x: jax.Array, key: Key) -> jax.Array:
        rounding, noise = jax.random.split(key)
        clip = jnp.asarray(self.clip, x.dtype)
        step = 2 * clip / (self.levels - 1)
        place = (jnp.clip(x, -clip, clip) + clip) / jnp.where(step > 0, step, 1)
        level = jnp.floor(place + jax.random.uniform(rounding, x.shape, x.dtype))
        heads = self._heads(noise, x.shape).astype(x.dtype)
        level = jnp.minimum(level, self.levels - 1)
        return (level + heads - self.trials / 2) * step - clip

    def _heads(self, key: Key, shape: tuple[int, ...]) -> jax.Array:
        """For each entry the number of heads of so many tossed coins, which are the bits of random words."""
        words = -(-self.trials // WORD)
        bits = jax.random.bits(key, (words, *shape), jnp.uint32)
        used = np.minimum(np.maximum(self.trials - WORD * np.arange(words), 0), WORD)
        masks = np.array([2 ** int(count) - 1 for count in used], np.uint32).reshape(words, *(1,) * len(shape))
        return jnp.sum(jax.lax.population_count(bits & masks), axis=0, dtype=jnp.uint32)
