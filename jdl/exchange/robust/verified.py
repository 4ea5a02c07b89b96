"""Validators who recompute what a node should have sent, and ban whom they catch."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import plan as plans
from jdl.exchange.linear import Linear
from jdl.exchange.links import ends
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire, number

__all__ = ["Verified"]


class State(NamedTuple):
    banned: jax.Array  # bool[n]
    inner: ExchangeState


@struct.dataclass
class Verified:
    """Validators: a liar is caught with a probability in each round in which it sends, and its links fail from then on.

    Every dishonest node lies whenever it sends. A validator who repeats its computation sees that, and everyone
    believes it; how seeds, hashes and draws of validators are agreed upon is left out. After a ban no message comes
    from that node, nor does one reach it; W stays stochastic as over lossy links, and a server averages over the
    others. An honest node is never banned. A liar sends 1 / probability times on average before it is banned. Where v
    of n nodes check one other node each, all distinct, probability is v / (n - v) for a node that checks nobody.

    Sends:
      the message, unchanged; it is counted whether it arrives or not. What validators recompute is not counted.

    Memory:
      one bit for each node.

    Args:
      probability: probability that a liar that sends in a round is caught, 0 to 1.
      inner: the exchange that receives the messages next.

    References:
      Gorbunov, Borzunov, Diskin, Ryabinin 2022, Secure Distributed Training at Scale (BTARD), of which this is the part
      of the validators; `CentredClipping` behind it is its rule for those who are not caught yet.
    """

    probability: float = number(0.1, minimum=0, maximum=1)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"dishonest", "at_once"})
    breaks: ClassVar[frozenset[str]] = frozenset({"reliable"})

    def init(self, message: Message) -> ExchangeState:
        return State(jnp.zeros(jax.tree.leaves(message)[0].shape[0], bool), self.inner.init(message))

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        draw, inside = jax.random.split(key)
        n = wire.roles.honest.shape[0]
        plan = plans.one_by_one(wire.plan)
        wire = wire.replace(plan=plan)
        receiver, sender = ends(wire)
        # A server has the id -1. It is honest, and nobody bans it.
        barred = lambda node: (node >= 0) & state.banned[jnp.maximum(node, 0)]
        keep = ~(barred(sender) | barred(receiver))
        speaks = (wire.bits > 0) & (plans.out_degree(plan, wire.bits.shape[0]) > 0) & (wire.origin >= 0)
        spoke = jnp.zeros(n, bool).at[jnp.where(speaks, wire.origin, n)].set(True, mode="drop")
        told = getattr(plan.links, "speakers", None)
        if told is not None:  # of several liars that send one row each has spoken
            on = plan.links.used & (wire.bits > 0)[plans.senders(plan.links)]
            spoke = spoke.at[jnp.where(on, told, n)].set(True, mode="drop")
        u = jax.random.uniform(draw, (n,))
        caught = spoke & ~wire.roles.honest & (u < jnp.asarray(self.probability, u.dtype))
        inbox, inner, deliveries = self.inner.apply(state.inner, wire.replace(plan=plans.lose(plan, keep)), inside)
        return inbox, State(state.banned | caught, inner), deliveries
