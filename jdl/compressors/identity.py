"""No compression."""

from __future__ import annotations

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

    def init(self, message: Message) -> tuple[()]:
        return ()

    def __call__(self, memory: tuple[()], message: Message, key: Key) -> tuple[Message, tuple[()], jax.Array]:
        return message, memory, jnp.float32(tree.size_bits(message))
