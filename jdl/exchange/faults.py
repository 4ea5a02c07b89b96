"""Links that fail."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import plan as plans
from jdl.exchange.linear import Linear
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Server, Wire, number

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
        keep = _uniform_of_links(wire.replace(plan=plan), here) >= self.probability
        return self.inner.apply(state, wire.replace(plan=plans.lose(plan, keep)), inside)


def _uniform_of_links(wire: Wire, key: Key) -> jax.Array:
    """A uniform number for each link, the same in every form of a plan, since it depends only on the two ids.

    In a symmetric plan both directions share it: the link fails, not one message. The server has the id -1.
    """
    plan = wire.plan
    sender = wire.origin[plans.senders(plan.links)]
    if isinstance(plan.links, Server):
        receiver = jnp.full_like(sender, -1)
    else:
        receiver = plans.ids(plan)[plans.receivers(plan.links)]
    if plan.symmetric:
        sender, receiver = jnp.minimum(sender, receiver), jnp.maximum(sender, receiver)
    fold = jnp.vectorize(lambda i, j: jax.random.uniform(jax.random.fold_in(jax.random.fold_in(key, i), j)))
    return fold(receiver, sender)
