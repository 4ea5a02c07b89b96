"""From the messages on the wire to the inboxes: every kind of part of a message arrives in its own way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl import plan as plans
from jdl.exchange.mixing.delivery import deliver, post
from jdl.exchange.mixing.mix import mix
from jdl.types import Delivery, Each, Message, PerLink, Plan, Push, Wire

__all__ = ["delivered", "inboxes"]

KINDS = (Each, PerLink, Push)

Rule = Callable[[Plan, Message, Message], Message]


def inboxes(wire: Wire, rule: Rule = mix) -> Message:
    """The inbox of every row.

    Args:
      wire: the messages of the round, and the plan.
      rule: takes the plan, what the rows keep and what they sent, and gives what arrives of plain parts; by default
        their weighted mean.

    Returns:
      M[m], with a `Posted` part for each `Each` part between peers. To a server, the aggregate without an axis of rows,
      with `Each` parts of all rows that were sent.
    """
    own, structure = jax.tree.flatten(wire.own, is_leaf=_is_kind)
    sent = structure.flatten_up_to(wire.sent)
    plan = plans.settled(wire.plan)
    plain = [i for i, part in enumerate(own) if not _is_kind(part)]
    pairs = zip(own, sent, strict=True)
    inbox: list[Any] = [_one_by_one(wire, plan, *pair) if _is_kind(pair[0]) else None for pair in pairs]
    if plain:
        means = rule(plan, [own[i] for i in plain], [sent[i] for i in plain])
        for i, mean in zip(plain, means, strict=True):
            inbox[i] = mean
    return structure.unflatten(inbox)


def _is_kind(part: Message) -> bool:
    return isinstance(part, KINDS)


def _one_by_one(wire: Wire, plan: Plan, own: Message, sent: Message) -> Message:
    if isinstance(own, PerLink):
        return deliver(plan, own, sent)
    if isinstance(own, Each):
        return post(wire, own.content, sent.content)
    # The mark stays, so that exchanges can add what the node keeps; the engine takes it off.
    return Push(mix(plans.pushed(wire.plan), own.content, sent.content))


def delivered(wire: Wire) -> tuple[Delivery, ...]:
    """What went over the links of a wire: one copy of each message on each link of the plan."""
    one = jnp.ones((), jnp.float32)
    return (Delivery(plan=wire.plan, bits=wire.bits, copies=one, origin=wire.origin, sent=wire.sent),)
