"""A compressor of all arrays of a message together."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.compressors.compressor import Compressor, floating
from jdl.compressors.top_k import TopK
from jdl.types import Key, Message, PyTree

__all__ = ["Flattened"]


@struct.dataclass
class Flattened:
    """Compress all arrays of real numbers of a message as one vector, for example to its largest entries.

    Without it, a compressor acts on each array by itself: `TopK(0.1)` keeps a tenth of each. Arrays of several types
    are put together in the type that holds them all.

    Sends:
      what `inner` sends of one vector.

    Memory:
      what `inner` remembers.

    Args:
      inner: compressor of the vector.
    """

    inner: Compressor = TopK()

    def init(self, message: Message) -> PyTree:
        return self.inner.init(
            jax.eval_shape(lambda: _flat([jnp.zeros(x.shape, x.dtype) for x in floating(message)[0]]))
        )

    def __call__(self, memory: PyTree, message: Message, key: Key) -> tuple[Message, PyTree, jax.Array]:
        numbers, joined, other_bits = floating(message)
        sent, memory, bits = self.inner(memory, _flat(numbers), key)
        decoded, at = [], 0
        for x in numbers:
            decoded.append(sent[at : at + x.size].reshape(x.shape).astype(x.dtype))
            at += x.size
        return joined(decoded), memory, bits + jnp.float32(other_bits)


def _flat(numbers: list[jax.Array]) -> jax.Array:
    if not numbers:
        return jnp.zeros(0)
    # The one type of all, or one that holds the numbers of both half precisions.
    types = {x.dtype for x in numbers}
    wide = types.pop() if len(types) == 1 else max([jnp.dtype("float32"), *types], key=lambda dtype: dtype.itemsize)
    return jnp.concatenate([x.reshape(-1).astype(wide) for x in numbers])
