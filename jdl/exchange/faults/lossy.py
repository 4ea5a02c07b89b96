"""Links that fail, all with one probability."""

from __future__ import annotations

from typing import ClassVar

import jax
from flax import struct

from jdl import plan as plans
from jdl.exchange.linear import Linear
from jdl.exchange.links import uniform_of_links
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire, number

__all__ = ["Lossy"]


@struct.dataclass
class Lossy:
    """Lossy links: each fails with a probability, independently in every round; an undirected link fails both ways.

    W stays stochastic. On an undirected link, each end adds the weight of the lost message to its own
    weight. On a directed link, the receiver does so if W is row stochastic, and the sender if it is column stochastic
    (see `jdl.plan.settled`). A server averages over the messages that arrive.

    Sends:
      the message, unchanged; it is counted whether it arrives or not.

    Args:
      probability: probability that a link fails in a round, 0 to 1.
      inner: the exchange that receives the messages next.
    """

    probability: float = number(0.1, minimum=0, maximum=1)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset()
    breaks: ClassVar[frozenset[str]] = frozenset({"reliable"})

    def init(self, message: Message) -> ExchangeState:
        return self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        here, inside = jax.random.split(key)
        plan = plans.one_by_one(wire.plan)
        keep = uniform_of_links(wire.replace(plan=plan), here) >= self.probability
        return self.inner.apply(state, wire.replace(plan=plans.lose(plan, keep)), inside)
