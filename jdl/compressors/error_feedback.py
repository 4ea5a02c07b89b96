"""Error feedback around another compressor."""

from __future__ import annotations

from typing import NamedTuple

import jax
from flax import struct

from jdl import tree
from jdl.compressors.compressor import Compressor, floating
from jdl.compressors.top_k import TopK
from jdl.types import Key, Message, PyTree

__all__ = ["ErrorFeedback"]


class Memory(NamedTuple):
    error: list[jax.Array]  # for each array of real numbers, the sum of what was not sent so far; zero at the start
    inner: PyTree  # the memory of the compressor inside


@struct.dataclass
class ErrorFeedback:
    """Add what compression left out so far to the next message m: decoded = C(m + e);  e <- m + e - decoded.

    The sum of the decoded messages and e is the sum of the messages, for every C. Error feedback is therefore meant for
    messages whose sum counts: gradients, and changes of a model. For messages that are models themselves, use `Choco`,
    which sends their changes.

    Sends:
      what the compressor inside sends.

    Memory:
      the error e, one message, and what the compressor inside remembers.

    Args:
      compressor: compressor C.

    References:
      Seide, Fu, Droppo, Li, Yu 2014, 1-Bit Stochastic Gradient Descent and its Application to Data-Parallel Distributed
      Training of Speech DNNs; Karimireddy, Rebjock, Stich, Jaggi 2019, Error Feedback Fixes SignSGD and other Gradient
      Compression Schemes, Algorithm 2.
    """

    compressor: Compressor = TopK()

    def init(self, message: Message) -> Memory:
        numbers, _, _ = floating(message)
        return Memory(tree.zeros_like(numbers), self.compressor.init(message))

    def __call__(self, memory: Memory, message: Message, key: Key) -> tuple[Message, Memory, jax.Array]:
        numbers, joined, _ = floating(message)
        # A network may narrow a message; its error is kept in the wider type that the memory has from the start.
        wanted = tree.add(tree.cast(numbers, memory.error), memory.error)
        decoded, inner, bits = self.compressor(memory.inner, joined(tree.cast(wanted, numbers)), key)
        error = tree.sub(wanted, tree.cast(floating(decoded)[0], wanted))
        return decoded, Memory(error, inner), bits
