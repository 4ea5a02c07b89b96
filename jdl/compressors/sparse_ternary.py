"""The largest entries, at their mean magnitude."""

from __future__ import annotations

import jax
from flax import struct

from jdl.compressors.chain import Chain
from jdl.compressors.indices import index_of_data
from jdl.compressors.sign import Sign
from jdl.compressors.top_k import TopK
from jdl.types import Key, Message, number, static

__all__ = ["SparseTernary"]


@struct.dataclass
class SparseTernary:
    """Sparse ternary compression: the signs of the k largest entries of each array, and their mean magnitude.

    C(x_i) = mu sign(x_i) for the `k = max(1, round(fraction d))` entries of largest magnitude, whose mean magnitude is
    mu, and 0 for the others. With T the sum of their magnitudes, ||C(x) - x||^2 = ||x||^2 - T^2/k <= (1 - 1/d) ||x||^2.
    It is `Chain(TopK(fraction, index), Sign())`. The published method is `ErrorFeedback(SparseTernary())`, upwards and
    downwards.

    Sends:
      for each entry kept, 1 bit and its place; and mu as a number of the array's own type.

    Args:
      fraction: share of the entries of each array that travels, 0 to 1.
      index: code of the places: "log2" (ceil(log2 d) bits each), "elias" (gaps), "entropy" (a lower bound).

    Raises:
      InputError: if there is no such code.

    References:
      Sattler, Wiedemann, Mueller, Samek 2020, Robust and Communication-Efficient Federated Learning from Non-i.i.d.
      Data (there gaps are encoded by Golomb's code).
    """

    fraction: float = number(0.1, minimum=0, maximum=1)
    index: str = static("log2")

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", index_of_data(self.index))

    def init(self, message: Message) -> tuple[()]:
        return ()

    def __call__(self, memory: tuple[()], message: Message, key: Key) -> tuple[Message, tuple[()], jax.Array]:
        sent, _, bits = Chain(TopK(self.fraction, self.index), Sign())(((), ()), message, key)
        return sent, memory, bits
