"""A sparsifier, then a quantiser of what it keeps."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.compressors.compressor import Compressor, floating
from jdl.compressors.top_k import TopK
from jdl.compressors.uniform import Uniform
from jdl.types import Key, Message, PyTree

__all__ = ["Chain"]


@struct.dataclass
class Chain:
    """Sparsify, then quantise the entries that are left: C(x) = second(first(x)).

    For low rank then quantisation see `LowRank.inner`: its factors are what travels, not their product.

    Sends:
      what `first` sends, with each of its numbers at the size that `second` gives them.

    Args:
      first: a sparsifier, `TopK` or `RandK`.
      second: a quantiser, `Uniform` or `HalfPrecision`; both keep zeros.

    References:
      Basu, Data, Karakus, Diggavi 2019, Qsparse-local-SGD (sparsify, then quantise).
    """

    first: Compressor = TopK()
    second: Compressor = Uniform()

    def init(self, message: Message) -> tuple[PyTree, PyTree]:
        return self.first.init(message), self.second.init(message)

    def __call__(
        self, memory: tuple[PyTree, PyTree], message: Message, key: Key
    ) -> tuple[Message, tuple[PyTree, PyTree], jax.Array]:
        here, there = jax.random.split(key)
        sparse, first, bits = self.first(memory[0], message, here)
        sent, second, _ = self.second(memory[1], sparse, there)

        def saved(x):
            kept = jnp.maximum(1, jnp.round(self.first.fraction * x.size)).astype(jnp.float32)
            return kept * (x.dtype.itemsize * 8) - self.second.size(kept, x)

        numbers, _, _ = floating(message)
        bits -= sum((saved(x) for x in numbers if x.size), start=jnp.float32(0))
        return sent, (first, second), bits
