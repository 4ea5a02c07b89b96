"""What a compressor is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import jax

from jdl.types import Key, Message

__all__ = ["Compressor", "Narrowing"]


@runtime_checkable
class Compressor(Protocol):
    """Of one message (no node axis): what the receivers decode, and the bits of one copy, f[]. A frozen dataclass."""

    def __call__(self, message: Message, key: Key) -> tuple[Message, jax.Array]: ...


@runtime_checkable
class Narrowing(Compressor, Protocol):
    """A compressor that treats numbers one by one and gives them another type, so that fewer bytes are read.

    narrow: a message, or messages along any leading axes, in the type in which it travels. A network sends this where
    methods take what `__call__` decodes; both have the same values.
    """

    def narrow(self, message: Message) -> Message: ...
