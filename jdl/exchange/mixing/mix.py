"""Weighted sums of what neighbours sent, in the form that a plan asks for.

Where rows of W sum to one, mixing is computed as `own + sum_j w_ij (sent_j - own)`: equal models stay equal to the
last bit, and with symmetric weights the mean over nodes is kept to rounding of the *differences*, however badly a
weight such as 1/3 is represented. Integrated over thousands of rounds that is the difference between an exact
method that stays at the optimum in float32 and one that drifts away from it (D2, EXTRA).

Sums are over the leading axis alone, leaf by leaf, and nothing of size [n, k, d] is made. What is sent may be of a
narrower type than what is kept; sums are in the type of `own`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl import checks, tree
from jdl import plan as plans
from jdl.exchange.mixing.delivery import deliver
from jdl.exchange.mixing.dense import by_product
from jdl.exchange.mixing.edges import Arranged, arranged, by_edges, by_levels
from jdl.exchange.mixing.groups import by_groups
from jdl.exchange.mixing.slots import by_slots
from jdl.types import Circulant, Dense, Edges, Groups, Message, PerLink, Plan, Server, Slots

__all__ = ["mix", "require_real"]


BACKENDS = {
    Dense: by_product,
    Slots: by_slots,
    Circulant: by_slots,
    Edges: by_levels,
    Arranged: by_edges,
    Groups: by_groups,
}


def mix(plan: Plan, own: Message, sent: Message) -> Message:
    """`own_i W_ii + sum_j W_ij sent_j` for every row; for a `Server` the weighted mean of `sent`, without row axis."""
    if isinstance(plan.links, Server):
        return _server_mean(plan.links, own, sent)
    if any(isinstance(part, PerLink) for part in jax.tree.leaves(own, is_leaf=_per_link)):
        return jax.tree.map(
            lambda own, sent: deliver(plan, own, sent) if _per_link(own) else mix(plan, own, sent),
            own, sent, is_leaf=_per_link,
        )  # fmt: skip
    require_real(own)
    if isinstance(plan.links, Edges) and plan.links.levels is None:
        plan = plan.replace(links=arranged(plan.links, plans.rows(plan)))  # once for all leaves
    backend = BACKENDS[type(plan.links)]
    return jax.tree.map(lambda own, sent: backend(plan, own, sent), own, sent)


def _server_mean(links: Server, own: Message, sent: Message) -> Message:
    total = jnp.sum(links.weights)
    weights = links.weights / jnp.where(total > 0, total, 1)  # nothing arrived: the mean change is zero

    def mean(own, sent):
        arrived = tree.where_rows(weights != 0, sent.astype(own.dtype), jnp.zeros_like(own))
        return jnp.tensordot(weights.astype(own.dtype), arrived, axes=1, precision="highest")

    return jax.tree.map(mean, own, sent)


def _per_link(part: Message) -> bool:
    return isinstance(part, PerLink)


def require_real(message: Message) -> None:
    """A sentence for whole numbers, whose averages would be cut off."""
    for leaf in jax.tree.leaves(message):
        need = f"got a message of {leaf.dtype} numbers, neighbours are averaged as real ones; send it as float32"
        checks.require(jnp.issubdtype(leaf.dtype, jnp.inexact), need)
