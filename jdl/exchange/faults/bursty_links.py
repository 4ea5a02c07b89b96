"""Losses that come in bursts."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl import plan as plans
from jdl.exchange.linear import Linear
from jdl.exchange.links import ends, uniform_of_links
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Server, Wire, number

__all__ = ["BurstyLinks"]

# What is known of a link.
NEW, GOOD, BAD = 0, 1, 2


class State(NamedTuple):
    links: jax.Array  # i8[n, n], by receiver and sender; the link of a client to its server is on the diagonal
    inner: ExchangeState


@struct.dataclass
class BurstyLinks:
    """Gilbert-Elliott channels: links have good and bad times, each a Markov chain, and lose more in bad ones.

    Between two rounds in which it is used, a good link turns bad with probability `fail`, and a bad one good with
    probability `recover`. It is bad in a share fail / (fail + recover) of its rounds (with this probability in the
    first one), each time for 1 / recover rounds on average. A message is lost with probability `bad` in bad times, and
    `good` in good ones. An undirected link fails both ways. Messages are sent and lost, over any graph or to a server;
    in the schedule `GilbertElliott`, both ends know that a link is off, and send nothing.

    Sends:
      the message, unchanged; it is counted whether it arrives or not.

    Memory:
      one byte for each pair of nodes.

    Args:
      fail: probability that a good link is bad in its next round, 0 to 1.
      recover: probability that a bad link is good in its next round, 0 to 1.
      bad: probability that a message is lost in bad times, 0 to 1.
      good: probability that a message is lost in good times, 0 to 1.
      inner: the exchange that receives the messages next.

    Raises:
      InputError: on the way down from a server, where the sizes of its memory are not known.

    References:
      Gilbert, "Capacity of a burst-noise channel", Bell System Technical Journal 39, 1960.
      Elliott, "Estimates of error rates for codes on burst-noise channels", Bell System Technical Journal 42, 1963.
    """

    fail: float = number(0.05, minimum=0, maximum=1)
    recover: float = number(0.2, minimum=0, maximum=1)
    bad: float = number(1.0, minimum=0, maximum=1)
    good: float = number(0.0, minimum=0, maximum=1)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset()
    breaks: ClassVar[frozenset[str]] = frozenset({"reliable"})

    def init(self, message: Message) -> ExchangeState:
        n = jax.tree.leaves(message)[0].shape[0]
        return State(jnp.full((n, n), NEW, jnp.int8), self.inner.init(message))

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        turn, lose, inside = jax.random.split(key, 3)
        to_clients = wire.plan.participants is not None and not isinstance(wire.plan.links, Server)
        down = wire.bits.shape[0] < plans.rows(wire.plan) or (to_clients and len(state.links) == 1)
        checks.require(not down, "got BurstyLinks in network_down, need it in network; take Lossy there")
        plan = plans.one_by_one(wire.plan)
        wire = wire.replace(plan=plan)
        receiver, sender = ends(wire)
        receiver = jnp.where(receiver < 0, sender, receiver)  # of a server
        was, u = state.links[receiver, sender], uniform_of_links(wire, turn)
        total = jnp.asarray(self.fail + self.recover)
        share = jnp.where(total > 0, self.fail / jnp.where(total > 0, total, 1), 0)
        is_bad = jnp.where(was == NEW, u < share, jnp.where(was == GOOD, u < self.fail, u >= self.recover))
        keep = uniform_of_links(wire, lose) >= jnp.where(is_bad, self.bad, self.good)
        # Places without a link are dropped: several of them may name one pair.
        row = jnp.where(plan.links.used, receiver, state.links.shape[0])
        links = state.links.at[row, sender].set(jnp.where(is_bad, BAD, GOOD).astype(jnp.int8), mode="drop")
        inbox, inner, deliveries = self.inner.apply(state.inner, wire.replace(plan=plans.lose(plan, keep)), inside)
        return inbox, State(links, inner), deliveries
