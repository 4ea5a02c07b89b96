"""A mailbox: the last messages of every sender, so that links can bring old ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jdl import checks
from jdl import plan as plans
from jdl.types import Delivery, Exchange, Key, Message, Server, Slots, Wire

__all__ = ["Box", "empty", "read", "receive"]

# Takes the wire of a round, whose links are listed one by one; gives the age of what each link brings, and whether it
# brings anything.
Ages = Callable[[Wire], tuple[jax.Array, jax.Array]]


class Box(NamedTuple):
    """The messages of the last D + 1 rounds, the newest first."""

    message: Message  # leaves [D + 1, n, ...]
    bits: jax.Array  # f[D + 1, n], the size of each
    weights: jax.Array  # f[D + 1, n], the weight of a client's message; zeros between peers
    due: jax.Array  # i32[D + 1, n], the age at which a client's message arrives, -1 for none; unused between peers


def empty(message: Message, rounds: int) -> Box:
    """The mailbox before the first round.

    Args:
      message: M[n], or its shapes.
      rounds: the largest age D of a message.
    """
    shape = (rounds + 1, jax.tree.leaves(message)[0].shape[0])
    box = jax.tree.map(lambda x: jnp.zeros((rounds + 1, *x.shape), x.dtype), message)
    return Box(box, jnp.zeros(shape, jnp.float32), jnp.zeros(shape), jnp.full(shape, -1, jnp.int32))


def read(exchange: Exchange, box: Box, inner: Message, wire: Wire, ages: Ages, key: Key) -> tuple:
    """A round in which every link brings the message that its sender sent some rounds ago.

    Args:
      exchange: the exchange whose `inner` is given the old messages.
      box: the messages of the rounds before.
      inner: the state of `exchange.inner`.
      wire: the messages of this round, over links that are the same in all rounds.
      ages: the age of what each link brings.
      key: the key of `exchange.inner`.

    Returns:
      The inbox, the mailbox with the messages of this round, the next inner state and the deliveries.
    """
    _on_time(exchange, wire)
    s = wire.bits.shape[0]
    push = lambda box, new: jnp.concatenate([new[None].astype(box.dtype), box[:-1]])
    box = box._replace(message=jax.tree.map(push, box.message, wire.sent), bits=push(box.bits, wire.bits))
    plan = plans.one_by_one(wire.plan)
    late, brought = ages(wire.replace(plan=plan))
    links = plan.links
    told = getattr(links, "speakers", None)
    slots = Slots(links.weights, links.used, late * s + plans.senders(links), links.arrived, told)
    old = plans.lose(plan.replace(links=slots, stochastic="row", symmetric=False), brought)
    inbox, inner, deliveries = exchange.inner.apply(inner, _rows(wire, box, old), key)

    def of_this_round(one: Delivery) -> Delivery:
        """What is sent in this round is counted now, and what arrives of earlier rounds is not counted again."""
        newest = lambda x: x if jnp.ndim(x) == 0 else x[:s]
        now = plan.replace(links=links.replace(arrived=plans.arrived(one.plan.links)))
        return Delivery(now, newest(one.bits), newest(one.copies), wire.origin, jax.tree.map(newest, one.sent))

    return inbox, box, inner, tuple(map(of_this_round, deliveries))


def receive(exchange: Exchange, box: Box, inner: Message, wire: Wire, late: jax.Array, key: Key) -> tuple:
    """A round of a server to which every message arrives once, after some rounds, with the weight that it had.

    Args:
      exchange: the exchange whose `inner` is given what arrives.
      box: the messages of the rounds before.
      inner: the state of `exchange.inner`.
      wire: the messages of this round's clients.
      late: i32[m], the number of rounds after which each of them arrives.
      key: the key of `exchange.inner`.

    Returns:
      As `read`.
    """
    _on_time(exchange, wire)
    links, (count, n) = wire.plan.links, box.due.shape
    due = jnp.where(plans.arrived(links), late, -1)
    new = Box(wire.sent, wire.bits, links.weights, due)
    none = jax.tree.map(lambda x: jnp.zeros(x.shape[1:], x.dtype), box)._replace(due=jnp.full(n, -1, jnp.int32))
    of_nodes = jax.tree.map(lambda none, x: none.at[wire.origin].set(x.astype(none.dtype)), none, new)
    box = jax.tree.map(lambda box, x: jnp.concatenate([x[None], box[:-1]]), box, of_nodes)
    used = jnp.zeros(count * n, bool).at[wire.origin].set(links.used)
    arrives = (box.due == jnp.arange(count, dtype=jnp.int32)[:, None]).reshape(-1)
    plan = wire.plan.replace(links=Server(box.weights.reshape(-1), used, arrives))
    origin = jnp.tile(jnp.arange(n, dtype=jnp.int32), count)
    inbox, inner, deliveries = exchange.inner.apply(inner, _rows(wire, box, plan).replace(origin=origin), key)
    return inbox, box, inner, deliveries


def _rows(wire: Wire, box: Box, plan: plans.Plan) -> Wire:
    """The wire whose rows are those of a mailbox."""
    count, s = box.bits.shape
    rows = lambda x: x.reshape(count * s, *x.shape[2:])
    age = jnp.repeat(jnp.arange(count, dtype=jnp.int32), s)
    origin = jnp.tile(wire.origin, count) if len(wire.origin) == s else wire.origin
    return wire.replace(sent=jax.tree.map(rows, box.message), bits=rows(box.bits), plan=plan, origin=origin, age=age)


def _on_time(exchange: Exchange, wire: Wire) -> None:
    name = type(exchange).__name__
    need = f"got {name} behind another exchange that delays messages, need one of them; give it more rounds"
    checks.require(wire.age is None, need)
