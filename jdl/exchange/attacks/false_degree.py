"""Liars about the graph: they tell a false number of links, from which others compute weights."""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp
from flax import struct

from jdl import plan as plans
from jdl.exchange.linear import Linear
from jdl.exchange.links import speakers
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire, number

__all__ = ["FalseDegree"]


@struct.dataclass
class FalseDegree:
    """Topology liar: dishonest nodes tell a false degree, so that Metropolis weights give their messages more.

    Honest node i takes W_ij = 1 / (1 + max(d_i, degree)) for each neighbour j that lies, where d_i is the number of
    links into i in this round; its weight on itself is what is left of 1. Other links, and the rows of liars, keep the
    weights of the plan, which are to be Metropolis weights. A liar gains at neighbours of fewer links than its own, and
    so nothing on a regular graph. Its weight is at most 1 / (1 + d_i), and no node's weight on itself becomes negative;
    where the plan has other weights and one would, the liars' gains are scaled down, so that it is zero.

    A degree above the true one is what liars tell who claim links that they have not; with these weights it costs them
    weight. A liar may lie about its message as well: put `SignFlip` or another attack beside it. Methods that read W
    themselves see that of the plan.

    Sends:
      the message, as it is.

    Args:
      degree: the number of links that liars tell, at least 0; with 0 or 1 their weight is the largest.
      inner: the exchange that receives the messages next.

    References:
      Xiao, Boyd, Lall 2005, A Scheme for Robust Distributed Sensor Fusion Based on Average Consensus (the weights,
      which a node computes from the degrees that it is told).
      Murmura, its public code: `TopologyLiarAttack` (read; there liars claim links to each other, for a rule of trust
      that checks such claims. The lie about weights here is the project's).
    """

    degree: float = number(1.0, minimum=0)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"dishonest", "peers", "row_stochastic"})
    # Both ends of a link give it different weights, and the sum of a liar's column exceeds one.
    breaks: ClassVar[frozenset[str]] = frozenset({"symmetric", "doubly_stochastic", "column_stochastic"})

    def init(self, message: Message) -> ExchangeState:
        return self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        plan = plans.one_by_one(wire.plan)
        links, own, m = plan.links, plan.self_weights, plans.rows(plan)
        to = plans.receivers(links)
        misled = (
            links.used & ~wire.roles.honest[speakers(wire.replace(plan=plan))] & wire.roles.honest[plans.ids(plan)][to]
        )
        told = jnp.maximum(plans.degree(plan).astype(own.dtype), jnp.asarray(self.degree, own.dtype))
        gain = jnp.where(misled, (1 / (1 + told))[to] - links.weights, 0)
        total = plans.into(links, gain, m)
        fits = jnp.where(total > own, jnp.clip(own / jnp.where(total > 0, total, 1), 0, 1), 1)
        gain = gain * fits[to]
        plan = plan.replace(
            links=links.replace(weights=links.weights + gain),
            self_weights=own - total * fits,
            stochastic="row",
            symmetric=False,
        )
        return self.inner.apply(state, wire.replace(plan=plan), key)
