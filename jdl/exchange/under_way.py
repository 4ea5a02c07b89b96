"""Messages that are under way for several rounds, as a schedule has planned it."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import plan as plans
from jdl.exchange.linear import Linear
from jdl.exchange.stack import wraps
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Plan, Slots, Wire, static

__all__ = ["UnderWay", "with_mail"]


class State(NamedTuple):
    message: Message  # leaves [places, ...], what waits in each place
    bits: jax.Array  # f[places], the size of each
    origin: jax.Array  # i32[places], who sent it
    sent_at: jax.Array  # i32[places], in which exchange, counted from 0
    t: jax.Array  # i32[], the number of exchanges before this one
    inner: ExchangeState


@struct.dataclass
class UnderWay:
    """Messages on their way: what a row sends is put into a place, and is read in a later round.

    Which place is written and read is planned, see `jdl.types.Mail`; `jdl.simulation` puts this exchange behind all
    others that act on messages where a schedule has such a plan, so that messages wait as they are on the links:
    compressed, noisy, falsified. A link that fails does so when its message is read.

    Sends:
      the message, unchanged; its copies are counted once, when they are sent, even if they are never read.

    Memory:
      one message for each place.

    Args:
      places: number of places.
      sums: whether the columns of W sum to one over sent and read messages, so that masses are kept.
      inner: the exchange that receives what is read.
    """

    places: int = static(1, minimum=1)
    sums: bool = static(False)
    inner: Exchange = Linear()

    @property
    def needs(self) -> frozenset[str]:
        # The mass of a message that is lost cannot go back to its sender, who may have acted since.
        return frozenset({"peers", "one_by_one"} | ({"reliable"} if self.sums else set()))

    @property
    def breaks(self) -> frozenset[str]:
        kept = set() if self.sums else {"column_stochastic", "push"}
        return frozenset({"at_once", "prompt", "symmetric", "doubly_stochastic", "per_link"} | kept)

    def init(self, message: Message) -> ExchangeState:
        empty = jax.tree.map(lambda x: jnp.zeros((self.places, *x.shape[1:]), x.dtype), message)
        none = jnp.zeros(self.places, jnp.int32)
        return State(empty, none.astype(jnp.float32), none, none, jnp.int32(0), self.inner.init(message))

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        mail, waits = wire.plan.mail, state
        read = wire.replace(
            sent=waits.message,
            bits=waits.bits,
            plan=_reading(wire.plan),
            origin=waits.origin,
            age=waits.t - waits.sent_at,
        )
        inbox, inner, _ = self.inner.apply(waits.inner, read, key)
        put = lambda place, new: place.at[mail.posts].set(new.astype(place.dtype), mode="drop")
        now = jnp.full_like(wire.origin, waits.t)
        new = State(
            message=jax.tree.map(put, waits.message, wire.sent),
            bits=put(waits.bits, wire.bits),
            origin=put(waits.origin, wire.origin),
            sent_at=put(waits.sent_at, now),
            t=waits.t + 1,
            inner=inner,
        )
        copies = mail.copies.astype(wire.bits.dtype)
        sent = Delivery(_posting(wire.plan), wire.bits * copies, copies, wire.origin, wire.sent)
        return inbox, new, (sent,)


def _reading(plan: Plan) -> Plan:
    """The plan over the places in place of the rows."""
    links = plan.links
    slots = Slots(links.weights, links.used, plan.mail.reads, links.arrived, links.speakers)
    return plan.replace(links=slots, mail=None, symmetric=False)


def _posting(plan: Plan) -> Plan:
    """The plan in which each row that sends has one link, which stands for all copies of its message."""
    m, sends = plans.rows(plan), (plan.mail.copies > 0)[:, None]
    links = Slots(jnp.zeros((m, 1), plan.self_weights.dtype), sends, jnp.arange(m, dtype=jnp.int32)[:, None])
    return plan.replace(links=links, mail=None, symmetric=False)


def with_mail(exchange: Exchange, places: int, sums: bool) -> Exchange:
    """The same stack, with messages that wait in so many places before they reach the rule at its end."""
    if wraps(exchange):
        return exchange.replace(inner=with_mail(exchange.inner, places, sums))
    return UnderWay(places, sums, exchange)
