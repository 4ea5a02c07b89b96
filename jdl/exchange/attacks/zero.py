"""Messages of zeros."""

from __future__ import annotations

from flax import struct

from jdl.exchange.attacks.liars import Attack, same_for_all
from jdl.exchange.linear import Linear
from jdl.types import Exchange, Key, Message, PyTree, Wire

__all__ = ["Zero"]


@struct.dataclass
class Zero(Attack):
    """Zero attack: dishonest nodes send zeros, and keep their true message.

    A client whose change is zero does not work for the server: it returns the model as it came.

    Sends:
      zeros, of the same size as the true message.

    Args:
      inner: the exchange that receives the messages next.
    """

    inner: Exchange = Linear()
    breaks = frozenset()  # no rows are compared

    def lies(self, memory: PyTree, wire: Wire, key: Key) -> tuple[Message, PyTree]:
        return same_for_all(wire.sent, 0.0), memory
