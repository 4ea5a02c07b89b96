"""A compressor of deviations from the mean, in units of their spread."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.compressors.compressor import Compressor, floating, number_bits
from jdl.compressors.half_precision import HalfPrecision
from jdl.types import Key, Message, PyTree

__all__ = ["Normalised"]


@struct.dataclass
class Normalised:
    """Compress each row of an array as (x - mean) / deviation, with its own mean and deviation.

    A narrow type such as float16 then neither overflows nor loses small numbers, whatever the scale of the rows.

    Sends:
      what `inner` sends, and two numbers of the array's own type for each row.

    Memory:
      what `inner` remembers.

    Args:
      inner: compressor of the normalised rows.

    References:
      With "float16" it is the scaled half precision of hivemind (`hivemind/compression/floating.py`,
      ScaledFloat16Compression).
    """

    inner: Compressor = HalfPrecision("float16")

    def init(self, message: Message) -> PyTree:
        return self.inner.init(floating(message)[0])

    def __call__(self, memory: PyTree, message: Message, key: Key) -> tuple[Message, PyTree, jax.Array]:
        numbers, joined, other_bits = floating(message)
        normal, means, deviations = [], [], []
        for x in numbers:
            rows = x if x.ndim else x[None]
            mean = jnp.mean(rows, axis=-1, keepdims=True) if x.size else jnp.zeros((), x.dtype)
            deviation = _deviation(rows - mean) if x.size else mean
            normal.append(((rows - mean) / jnp.where(deviation == 0, 1, deviation)).reshape(x.shape))
            means.append(mean)
            deviations.append(deviation)
            other_bits += (mean.size + deviation.size) * number_bits(x) if x.size else 0
        sent, memory, bits = self.inner(memory, normal, key)
        restored = [
            (y.reshape((-1,)) if not x.ndim else y) * deviation + mean
            for x, y, mean, deviation in zip(numbers, sent, means, deviations, strict=True)
        ]
        restored = [y.reshape(x.shape).astype(x.dtype) for x, y in zip(numbers, restored, strict=True)]
        return joined(restored), memory, bits + jnp.float32(other_bits)


def _deviation(centred: jax.Array) -> jax.Array:
    """The root mean square of each row, of shares of its largest entry, whose squares neither overflow nor vanish."""
    top = jnp.max(jnp.abs(centred), axis=-1, keepdims=True)
    share = centred / jnp.where(top == 0, 1, top)
    return top * jnp.sqrt(jnp.mean(jnp.square(share), axis=-1, keepdims=True))
