"""The protocol of compressors, which encode one message each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from jdl.types import Key, Message, PyTree

__all__ = ["Compressor", "Narrowing", "floating"]


@runtime_checkable
class Compressor(Protocol):
    """A lossy codec of one message, which has no node axis: a frozen flax dataclass.

    Only arrays of real numbers are compressed. Integers and truth values (seeds, counts, names) arrive as they are and
    are counted at their full size; see `floating`.

    Attributes:
      init: takes a message, or only its shapes, and gives the memory of one sender before its first message; () for a
        compressor without memory. The memory belongs to the sender: receivers decode without one.
      __call__: takes the memory, the message and a key, and gives what the receivers decode, the next memory, and the
        size of one copy in bits, f[].
    """

    def init(self, message: Message) -> PyTree: ...

    def __call__(self, memory: PyTree, message: Message, key: Key) -> tuple[Message, PyTree, jax.Array]: ...


@runtime_checkable
class Narrowing(Compressor, Protocol):
    """A compressor without memory that gives each number another type, one by one, so that fewer bytes are read.

    Attributes:
      narrow: takes a message, or messages along any leading axes, and gives it in the type in which it travels. A
        network sends this where methods take what `__call__` decodes; both have the same values.
    """

    def narrow(self, message: Message) -> Message: ...


def floating(message: Message) -> tuple[list[jax.Array], Callable[[Sequence[jax.Array]], Message], int]:
    """Separate the arrays of a message on which a compressor acts from the rest.

    Args:
      message: one message, or its shapes.

    Returns:
      The arrays of real numbers of the message; a function that gives the message with other arrays in their place; and
      the size in bits of everything else, which travels as it is.

    >>> numbers, joined, other_bits = floating({"seed": jnp.int32(7), "x": jnp.ones(2)})
    >>> joined([-x for x in numbers])["x"].tolist(), other_bits
    ([-1.0, -1.0], 32)
    """
    leaves, structure = jax.tree.flatten(message)
    real = [jnp.issubdtype(x.dtype, jnp.floating) for x in leaves]
    other_bits = sum(x.size * x.dtype.itemsize * 8 for x, is_real in zip(leaves, real, strict=True) if not is_real)

    def joined(numbers: Sequence[jax.Array]) -> Message:
        rest = iter(numbers)
        return structure.unflatten([next(rest) if is_real else x for x, is_real in zip(leaves, real, strict=True)])

    return [x for x, is_real in zip(leaves, real, strict=True) if is_real], joined, other_bits
