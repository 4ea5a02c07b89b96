"""Messages one by one: those for one neighbour only, and all messages that arrive at a row."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jdl import plan as plans
from jdl import tree
from jdl.exchange.links import speakers
from jdl.exchange.mixing.slots import heard
from jdl.types import Dense, Each, Message, PerLink, Plan, Posted, Server, Wire

__all__ = ["deliver", "neighbourhood", "post"]


def deliver(plan: Plan, own: PerLink, sent: PerLink) -> PerLink:
    """Deliver messages that are addressed to single neighbours.

    Args:
      plan: the plan, whose links are named one by one.
      own: the messages as the nodes keep them; their dtype is that of the result.
      sent: the messages as they were sent, perhaps in a narrower type; leaves `[m, k, ...]`, one for each neighbour.

    Returns:
      The messages that each row receives from its neighbours, leaves `[m, k, ...]`; zeros for lost ones.
    """
    links = plans.one_by_one(plan).links
    who, place = plans.senders(links), plans.back(links)
    arrived = links.weights != 0

    def received(own, sent):
        mask = arrived.reshape(arrived.shape + (1,) * (sent.ndim - 2))
        return jnp.where(mask, sent[who, place].astype(own.dtype), jnp.zeros((), own.dtype))

    return PerLink(jax.tree.map(received, own.content, sent.content), arrived)


def post(wire: Wire, own: Message, sent: Message) -> Posted | Each:
    """Post messages that every receiver takes one by one.

    Args:
      wire: the messages of the round, and the plan.
      own: the content as the nodes keep it; its dtypes are those of the result.
      sent: the content as it was sent, leaves `[s, ...]`, perhaps in narrower types.

    Returns:
      What each row takes when its turn comes; to a server, the messages, with zeros where nothing arrived.
    """
    plan = plans.one_by_one(wire.plan)
    links, ids = plan.links, speakers(wire.replace(plan=plan))
    who = plans.senders(links)
    arrived = plans.arrived(links) & (wire.bits > 0)[who]
    age = jnp.zeros_like(who) if wire.age is None else wire.age[who]
    weights = jnp.where(arrived, links.weights, 0)
    each, content = Each(None, ids, weights, arrived, age), tree.cast(sent, own)
    if isinstance(links, Server):
        return each.replace(content=tree.where_rows(arrived, content, tree.zeros_like(content)))
    return Posted(content, who, each)


def neighbourhood(plan: Plan, own: jax.Array, sent: jax.Array) -> tuple[Sequence[jax.Array], jax.Array]:
    """Collect the messages that arrive at each row, with the row's own first.

    Rules that need more than a weighted sum (medians, clipping) use it. Messages that are used in one fused pass are
    gathered there, and take no memory.

    Args:
      plan: the plan, whose links are named one by one; a list of `Edges` is not, see `jdl.plan.provides`.
      own: [m, ...], the row's own messages.
      sent: [m, ...], the messages as they were sent.

    Returns:
      For each of k + 1 slots the message of every row, `[m, ...]`, or `[1, ...]` where it is the same for all rows; and
      which of them arrived, `bool[m, k + 1]`. A `Server` receives all m messages and has none of its own: m slots of
      `[1, ...]`, and `bool[1, m]`.
    """
    plan = plans.one_by_one(plan)
    links, m = plan.links, plans.rows(plan)
    sent = sent.astype(own.dtype)
    if isinstance(links, Server):
        return sent[:, None], (links.weights != 0)[None]
    arrived = jnp.concatenate([jnp.ones((m, 1), bool), links.weights != 0], axis=1)
    if isinstance(links, Dense):
        return [own, *sent[:, None]], arrived
    return [own, *(heard(links, sent, slot) for slot in range(links.weights.shape[1]))], arrived
