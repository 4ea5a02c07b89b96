"""No compression."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.types import Key, Message

__all__ = ["Identity"]


@struct.dataclass
class Identity:
    """No compression: the message as it is.

    Sends:
      all bits of the message.
    """

    exact: ClassVar[bool] = True  # receivers decode what was sent

    def init(self, message: Message) -> tuple[()]:
        return ()

    def __call__(self, memory: tuple[()], message: Message, key: Key) -> tuple[Message, tuple[()], jax.Array]:
        return message, memory, jnp.float32(tree.size_bits(message))
