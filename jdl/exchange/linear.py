"""Gossip: a multiplication by the mixing matrix."""

from __future__ import annotations

from typing import ClassVar

from flax import struct

from jdl.exchange import mixing
from jdl.types import Delivery, ExchangeState, Key, Message, Wire

__all__ = ["Linear"]


@struct.dataclass
class Linear:
    """Plain gossip, the innermost exchange by default: inbox_i = W_ii own_i + sum_j W_ij sent_j.

    With a server, the inbox is the weighted mean of the messages that arrive. `Each` and `PerLink` parts arrive one by
    one, and `Push` parts are mixed by weights whose columns sum to one.

    Sends:
      the message, as it is, on every link of the plan.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    breaks: ClassVar[frozenset[str]] = frozenset()

    def init(self, message: Message) -> ExchangeState:
        return ()

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        return mixing.inboxes(wire), state, mixing.delivered(wire)
