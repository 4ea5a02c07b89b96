"""Messages that arrive twice."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import plan as plans
from jdl.exchange.linear import Linear
from jdl.exchange.links import uniform_of_links
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire, number

__all__ = ["Duplicated"]


@struct.dataclass
class Duplicated:
    """Duplicates: with some probability, a link carries a message twice, as after a timeout that came too early.

    The receiver knows who sent a message, and in which round, and drops the second copy, as TCP and every protocol
    with numbered messages does: a duplicate costs bits and weighs nothing. Each way of a link duplicates by itself.

    Sends:
      the message, once or twice.

    Args:
      probability: probability that a message is sent twice, 0 to 1.
      inner: the exchange that receives the messages next.
    """

    probability: float = number(0.1, minimum=0, maximum=1)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset()
    breaks: ClassVar[frozenset[str]] = frozenset()

    def init(self, message: Message) -> ExchangeState:
        return self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        here, inside = jax.random.split(key)
        inbox, state, deliveries = self.inner.apply(state, wire, inside)

        def again(one: Delivery) -> Delivery:
            """The second copies. They arrive where the first ones do, so that nobody else takes part."""
            plan = plans.one_by_one(one.plan)
            links, ways = plan.links, plan.replace(symmetric=False)
            twice = uniform_of_links(wire.replace(plan=ways, origin=one.origin), here) < self.probability
            links = links.replace(used=links.used & twice, arrived=plans.arrived(links))
            return one.replace(plan=ways.replace(links=links), copies=2 * jnp.asarray(one.copies))

        return inbox, state, (*deliveries, *map(again, deliveries))
