"""A compressor after a random rotation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import rng
from jdl.compressors.compressor import Compressor, floating, widened
from jdl.compressors.transforms import hadamard
from jdl.compressors.uniform import Uniform
from jdl.types import Key, Message, PyTree

__all__ = ["Rotated"]


@struct.dataclass
class Rotated:
    """Rotate each array at random before it is compressed, and back: C(x) = R^T inner(R x).

    R = H D / sqrt(d), where H is a Hadamard matrix and D a diagonal of random signs, drawn from a key that both ends
    hold. It keeps norms and makes all entries about equally large, which suits linear quantisers: the scale of
    `Uniform` becomes about ||x|| sqrt(2 log(d) / d). An array is filled up with zeros to a power of two, and the
    entries that this adds travel as well.

    Sends:
      what `inner` sends of an array as long as the next power of two.

    Memory:
      what `inner` remembers. Each message has a rotation of its own, so a memory of rotated errors has no
      meaning: put `ErrorFeedback` around `Rotated`, not inside.

    Args:
      inner: compressor of the rotated arrays.

    References:
      Konecny, McMahan, Yu, Richtarik, Suresh, Bacon 2016, Federated Learning: Strategies for Improving Communication
      Efficiency (sketched updates); Suresh, Yu, Kumar, McMahan 2017, Distributed Mean Estimation with Limited
      Communication.
    """

    inner: Compressor = Uniform(stochastic=True)

    def init(self, message: Message) -> PyTree:
        numbers, _, _ = floating(message)
        return self.inner.init([jax.ShapeDtypeStruct((_padded(x.size),), x.dtype) for x in numbers])

    def __call__(self, memory: PyTree, message: Message, key: Key) -> tuple[Message, PyTree, jax.Array]:
        numbers, joined, other_bits = floating(message)
        drawn, inside = jax.random.split(key)
        keys = jax.random.split(drawn, max(1, len(numbers)))
        draws = [rng.uniform(x_key, (_padded(x.size),)) for x, x_key in zip(numbers, keys, strict=False)]
        signs = [jnp.where(draw < 0.5, jnp.float32(1), jnp.float32(-1)) for draw in draws]
        turned = [_turned(x, sign) for x, sign in zip(numbers, signs, strict=True)]
        sent, memory, bits = self.inner(memory, turned, inside)
        back = [_back(y, sign, x) for y, sign, x in zip(sent, signs, numbers, strict=True)]
        return joined(back), memory, bits + jnp.float32(other_bits)


def _padded(size: int) -> int:
    """The next power of two."""
    return 1 << (size - 1).bit_length() if size else 0


def _turned(x: jax.Array, signs: jax.Array) -> jax.Array:
    if not x.size:
        return x.reshape(-1)
    flat = widened(jnp.pad(x.reshape(-1), (0, signs.size - x.size)))
    return hadamard(flat * signs.astype(flat.dtype)).astype(x.dtype)


def _back(y: jax.Array, signs: jax.Array, x: jax.Array) -> jax.Array:
    if not x.size:
        return x
    flat = hadamard(widened(y))
    flat = flat * signs.astype(flat.dtype)
    return flat[: x.size].reshape(x.shape).astype(x.dtype)
