"""The protocol of compressors, which encode one message each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from jdl.types import Key, Message, PyTree

__all__ = [
    "Compressor",
    "Narrowing",
    "Quantiser",
    "Sparsifier",
    "by_array",
    "count_of",
    "everywhere",
    "floating",
    "in_full",
    "number_bits",
    "shares",
    "widened",
]


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


@runtime_checkable
class Sparsifier(Compressor, Protocol):
    """A compressor without memory that sends some entries of each array, and zero for the others.

    A class that inherits from it defines `choose` alone.

    Attributes:
      choose: takes one array that is not empty, and a key; gives the array with zeros in place of what is not sent, the
        entries that are sent, `bool[...]`, and the bits that tell a receiver which ones these are, f[].
    """

    def init(self, message: Message) -> tuple[()]:
        return ()

    def __call__(self, memory: tuple[()], message: Message, key: Key) -> tuple[Message, tuple[()], jax.Array]:
        sent, bits = by_array(in_full(self.choose), message, key)
        return sent, memory, bits

    def choose(self, x: jax.Array, key: Key) -> tuple[jax.Array, jax.Array, jax.Array]: ...


@runtime_checkable
class Quantiser(Compressor, Protocol):
    """A compressor without memory that gives each entry of an array fewer bits.

    A class that inherits from it defines `quantise` alone.

    Attributes:
      quantise: takes one array that is not empty, the entries that are sent, `bool[...]`, and a key; gives what is
        decoded of these entries, with zeros elsewhere, and their size in bits, f[].
    """

    def init(self, message: Message) -> tuple[()]:
        return ()

    def __call__(self, memory: tuple[()], message: Message, key: Key) -> tuple[Message, tuple[()], jax.Array]:
        sent, bits = by_array(everywhere(self.quantise), message, key)
        return sent, memory, bits

    def quantise(self, x: jax.Array, sent: jax.Array, key: Key) -> tuple[jax.Array, jax.Array]: ...


def by_array(
    encode: Callable[[jax.Array, Key], tuple[jax.Array, jax.Array]], message: Message, key: Key
) -> tuple[Message, jax.Array]:
    """Encode each array of real numbers of a message by itself; empty ones are left out.

    Args:
      encode: takes one array and a key of its own; gives what is decoded, and the size in bits, f[].
      message: one message.
      key: a key.

    Returns:
      What receivers decode, and the size of one copy in bits, f[].
    """
    numbers, joined, other_bits = floating(message)
    keys = jax.random.split(key, max(1, len(numbers)))
    sent, bits = [], jnp.float32(other_bits)
    for x, x_key in zip(numbers, keys, strict=False):
        if x.size:
            x, x_bits = encode(x, x_key)
            bits += jnp.asarray(x_bits, jnp.float32)
        sent.append(x)
    return joined(sent), bits


def in_full(choose: Callable) -> Callable[[jax.Array, Key], tuple[jax.Array, jax.Array]]:
    """The encoder that sends, of each array, the entries that `Sparsifier.choose` chooses as they are."""

    def encode(x, key):
        kept, sent, places = choose(x, key)
        return kept, places + count_of(sent) * number_bits(x)

    return encode


def everywhere(quantise: Callable) -> Callable[[jax.Array, Key], tuple[jax.Array, jax.Array]]:
    """The encoder that sends all entries of each array by `Quantiser.quantise`."""
    return lambda x, key: quantise(x, jnp.ones(x.shape, bool), key)


def count_of(sent: jax.Array) -> jax.Array:
    """How many entries are sent, f32[]: counted in whole numbers, which stay exact for larger counts."""
    return jnp.sum(sent, dtype=jnp.int32).astype(jnp.float32)


def widened(x: jax.Array) -> jax.Array:
    """An array in float32, or in its own type if that is wider."""
    return x.astype(jnp.float32) if x.dtype.itemsize < 4 else x


def shares(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """An array in units of its largest magnitude, and this magnitude, in float32 at least.

    Norms and sums of shares neither overflow nor vanish. The shares of zeros are zeros; one NaN makes all shares NaN.
    """
    wide = widened(x)
    top = jnp.max(jnp.abs(wide))
    return wide / jnp.where(top == 0, jnp.ones_like(top), top), top


def number_bits(x: jax.Array) -> int:
    """The size in bits of one entry of an array.

    >>> number_bits(jnp.zeros(3, jnp.bfloat16))
    16
    """
    return x.dtype.itemsize * 8


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
