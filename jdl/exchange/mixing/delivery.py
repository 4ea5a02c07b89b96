"""Single messages: those for one neighbour only, and all messages that arrive at a row."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl import plan as plans
from jdl.exchange.mixing.slots import heard
from jdl.types import Dense, PerLink, Plan, Server

__all__ = ["deliver", "neighbourhood"]


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


def neighbourhood(plan: Plan, own: jax.Array, sent: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Collect the messages that arrive at each row, with the row's own first.

    Rules that need more than a weighted sum (medians, clipping) use it. It takes k + 1 times the memory of a message.

    Args:
      plan: the plan, whose links are named one by one; a list of `Edges` is not, see `jdl.plan.provides`.
      own: [m, ...], the row's own messages.
      sent: [m, ...], the messages as they were sent.

    Returns:
      The values, `[m, k + 1, ...]`, and which of them arrived, `bool[m, k + 1]`. A `Server` receives all m messages and
      has none of its own: `[1, m, ...]`.
    """
    plan = plans.one_by_one(plan)
    links, m = plan.links, plans.rows(plan)
    if isinstance(links, Server):
        return sent.astype(own.dtype)[None], (links.weights != 0)[None]
    sent = sent.astype(own.dtype)
    arrived = jnp.concatenate([jnp.ones((m, 1), bool), links.weights != 0], axis=1)
    if isinstance(links, Dense):
        others = jnp.broadcast_to(sent[None], (m, *sent.shape))
        return jnp.concatenate([own[:, None], others], axis=1), arrived
    others = [heard(links, sent, slot) for slot in range(links.weights.shape[1])]
    return jnp.stack([own, *others], axis=1), arrived
