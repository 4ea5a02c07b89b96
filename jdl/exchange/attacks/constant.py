"""Messages of one number."""

from __future__ import annotations

from flax import struct

from jdl.exchange.attacks.liars import Attack, same_for_all
from jdl.exchange.linear import Linear
from jdl.types import Exchange, Key, Message, PyTree, Wire, number

__all__ = ["Constant"]


@struct.dataclass
class Constant(Attack):
    """Constant attack: dishonest nodes send one number in all coordinates, and keep their true message.

    Sends:
      a message of one number, of the same size as the true one.

    Args:
      value: the number.
      inner: the exchange that receives the messages next.
    """

    value: float = number(1.0)
    inner: Exchange = Linear()
    breaks = frozenset()  # no rows are compared

    def lies(self, memory: PyTree, wire: Wire, key: Key) -> tuple[Message, PyTree]:
        return same_for_all(wire.sent, self.value), memory
