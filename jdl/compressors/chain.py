"""A sparsifier, then a quantiser of what it keeps."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.compressors.compressor import Quantiser, Sparsifier, floating
from jdl.compressors.top_k import TopK
from jdl.compressors.uniform import Uniform
from jdl.types import Key, Message, PyTree

__all__ = ["Chain"]


@struct.dataclass
class Chain:
    """Sparsify, then quantise the entries that are left: C(x) = second(first(x)).

    For low rank followed by quantisation see `LowRank.inner`: what travels is the factors, not their product.

    Sends:
      the places that `first` sends, and each of its numbers at the size that `second` gives them.

    Args:
      first: a sparsifier: `TopK`, `RandK`, `Threshold`.
      second: a quantiser: `Uniform`, `HalfPrecision`, `QSGD`, `Sign`, ...

    Raises:
      InputError: if the first is no sparsifier, or the second no quantiser.

    References:
      Basu, Data, Karakus, Diggavi 2019, Qsparse-local-SGD (sparsify, then quantise).
    """

    first: Sparsifier = TopK()
    second: Quantiser = Uniform()

    def init(self, message: Message) -> tuple[PyTree, PyTree]:
        for part, kind in ((self.first, Sparsifier), (self.second, Quantiser)):
            method = "choose" if kind is Sparsifier else "quantise"
            need = (
                f"need a {kind.__name__.lower()}, which has the method `{method}`; see jdl.compressors.{kind.__name__}"
            )
            checks.require(isinstance(part, kind), f"got {type(part).__name__} in a chain, {need}")
        return (), ()

    def __call__(
        self, memory: tuple[PyTree, PyTree], message: Message, key: Key
    ) -> tuple[Message, tuple[PyTree, PyTree], jax.Array]:
        numbers, joined, other_bits = floating(message)
        firsts, seconds = (jax.random.split(one, max(1, len(numbers))) for one in jax.random.split(key))
        decoded, bits = [], jnp.float32(other_bits)
        for x, first, second in zip(numbers, firsts, seconds, strict=False):
            if x.size:
                kept, sent, places = self.first.choose(x, first)
                x, size = self.second.quantise(kept, sent, second)
                bits += places + size
            decoded.append(x)
        return joined(decoded), memory, bits
