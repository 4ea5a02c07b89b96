"""Lies that differ from victim to victim: each honest receiver is told something of its own."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp

from jdl import checks
from jdl import plan as plans
from jdl.exchange.attacks.liars import key_of_liars, lying, reals
from jdl.exchange.links import speakers
from jdl.types import Delivery, Each, Edges, Exchange, ExchangeState, Key, Links, Message, Plan, Slots, Wire

__all__ = ["AttackOnEach"]


class AttackOnEach:
    """An exchange whose liars tell each honest neighbour a lie of its own; all liars tell a victim the same.

    A subclass has the field `inner` and the method `lies(wire, attacked, key)`, which gives the lie to each receiver,
    arrays `[m, ...]`. The messages of the wire that it is given are lists of arrays of real numbers, and its plan lists
    the links one by one; `attacked`, in the shape of `links.weights`, says which of them bring a lie.

    The lies are m rows behind those that were sent, and links from liars to honest receivers lead to them. Such a link
    knows which of the liars sends on it (`Slots.speakers`). The origin of a row, for which its traffic is counted, is
    the first of the liars among the victim's neighbours.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"dishonest", "peers", "at_once"})
    # What is sent to each neighbour differs, and rows are no nodes; sums of sent messages are not kept.
    breaks: ClassVar[frozenset[str]] = frozenset({"per_link", "push", "column_stochastic"})
    inner: Exchange

    def lies(self, wire: Wire, attacked: jax.Array, key: Key) -> list[jax.Array]:
        """The lies of a round, one to each receiver."""
        raise NotImplementedError

    def init(self, message: Message) -> ExchangeState:
        return self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        # Nobody lies about whole numbers, and a row that several liars send would hold those of one of them.
        is_each = lambda part: isinstance(part, Each)
        each = [part for part in jax.tree.leaves(wire.sent, is_leaf=is_each) if is_each(part)]
        got = f"got {type(self).__name__} and messages one by one that hold whole numbers"
        real = len(reals(each)) == len(jax.tree.leaves(each))
        checks.require(real, f"{got}, need real numbers alone; send them as float32, or take an attack like ALIE")

        plan, s = plans.one_by_one(wire.plan), wire.bits.shape[0]
        links, m = plan.links, plans.rows(plan)
        who, to = plans.senders(links), plans.receivers(links)
        sends, honest = lying(wire) & (wire.bits > 0), wire.roles.honest[plans.ids(plan)]
        attacked = plans.arrived(links) & sends[who] & honest[to]
        heard = wire.replace(own=reals(wire.own), sent=reals(wire.sent), plan=plan)
        lies = iter(self.lies(heard, attacked, key_of_liars(self.inner, key)))
        liar = _first(links, jnp.where(attacked, who, s), m)
        row = jnp.where(liar < s, liar, 0)
        told = lambda x: jnp.concatenate([x, next(lies).astype(x.dtype) if reals(x) else x[row]])
        more = wire.replace(
            sent=jax.tree.map(told, wire.sent),
            bits=jnp.concatenate([wire.bits, jnp.where(liar < s, wire.bits[row], 0)]),
            origin=jnp.concatenate([wire.origin, jnp.where(liar < s, wire.origin[row], plans.ids(plan))]),
            age=None if wire.age is None else jnp.concatenate([wire.age, jnp.zeros(m, wire.age.dtype)]),
            plan=_listening(plan, jnp.where(attacked, s + to, who), speakers(wire.replace(plan=plan))),
        )
        return self.inner.apply(state, more, key)


def _first(links: Links, rows: jax.Array, m: int) -> jax.Array:
    """The smallest of some numbers, one for each link, over the links into each of m rows, i32[m]."""
    if isinstance(links, Edges):
        return jnp.full(m, jnp.iinfo(jnp.int32).max, jnp.int32).at[links.receivers].min(rows.astype(jnp.int32))
    return jnp.min(rows, axis=1, initial=jnp.iinfo(jnp.int32).max)


def _listening(plan: Plan, senders: jax.Array, nodes: jax.Array) -> Plan:
    """The plan with other rows on its links, on which the same nodes send as before."""
    links = plan.links
    if isinstance(links, Slots | Edges):
        return plan.replace(links=links.replace(senders=senders, speakers=nodes))
    return plan.replace(links=Slots(links.weights, links.used, senders, links.arrived, nodes))
