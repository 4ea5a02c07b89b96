"""Messages one by one: what each neighbour sent to a row alone, and every row's neighbourhood."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl import plan as plans
from jdl.exchange.mixing.slots import heard
from jdl.types import Dense, PerLink, Plan, Server

__all__ = ["deliver", "neighbourhood"]


def deliver(plan: Plan, own: PerLink, sent: PerLink) -> PerLink:
    """To every row what each of its neighbours sent to it alone: leaves `[m, k, ...]`, zeros for what is lost.

    What is sent may be of a narrower type than what is kept; it arrives in the type of `own`.
    """
    links = plans.one_by_one(plan).links
    who, which = plans.senders(links), plans.back(links)
    arrived = links.weights != 0

    def given(own, sent):
        mask = arrived.reshape(arrived.shape + (1,) * (sent.ndim - 2))
        return jnp.where(mask, sent[who, which].astype(own.dtype), jnp.zeros((), own.dtype))

    return PerLink(jax.tree.map(given, own.content, sent.content), arrived)


def neighbourhood(plan: Plan, own: jax.Array, sent: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Every row's messages one by one, its own first: values `[m, k+1, ...]` and `bool[m, k+1]`, what arrived.

    For rules that need more than a sum (medians, clipping). Costs k+1 times the memory of a message. A `Server` has
    one neighbourhood, of all m messages and none of its own: `[1, m, ...]`. `Edges` have none: see `provides`.
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
