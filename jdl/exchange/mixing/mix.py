"""Weighted sums of neighbours' messages, for every form of a plan.

If the rows of W sum to one, mixing is computed as `own + sum_j w_ij (sent_j - own)`. Equal models then stay equal to
the last bit, and with symmetric weights the mean over nodes changes only by rounding of the *differences*, although a
weight such as 1/3 has no exact representation. Over thousands of rounds this decides whether an exact method (D2,
EXTRA) stays at the optimum in float32 or drifts away from it.

Sums run over the leading axis, leaf by leaf, and no array of size [n, k, d] is made. Messages may have a narrower type
than models; sums have the type of `own`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl import checks, tree
from jdl import plan as plans
from jdl.exchange.mixing.dense import by_product
from jdl.exchange.mixing.edges import Arranged, arranged, by_edges, by_levels
from jdl.exchange.mixing.groups import by_groups
from jdl.exchange.mixing.slots import by_slots
from jdl.types import Circulant, Dense, Edges, Groups, Message, Plan, Server, Slots

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
    """Compute `own_i W_ii + sum_j W_ij sent_j` for every row.

    Args:
      plan: the plan of the round.
      own: the messages as the nodes keep them, leaves `[m, ...]`.
      sent: the messages as they were sent, leaves `[m, ...]`.

    Returns:
      The sums, leaves `[m, ...]`; for a `Server` the weighted mean of `sent`, without the axis of rows.

    Raises:
      InputError: if a message holds integers.
    """
    if isinstance(plan.links, Server):
        return _server_mean(plan.links, own, sent)
    require_real(own)
    if isinstance(plan.links, Edges) and plan.links.levels is None:
        plan = plan.replace(links=arranged(plan.links, plans.rows(plan)))  # sorted once for all leaves
    backend = BACKENDS[type(plan.links)]
    return jax.tree.map(lambda own, sent: backend(plan, own, sent), own, sent)


def _server_mean(links: Server, own: Message, sent: Message) -> Message:
    total = jnp.sum(links.weights)
    weights = links.weights / jnp.where(total > 0, total, 1)  # if nothing arrived, the mean change is zero

    def mean(own, sent):
        sent = sent.astype(own.dtype)
        arrived = tree.where_rows(weights != 0, sent, jnp.zeros_like(sent))
        return jnp.tensordot(weights.astype(own.dtype), arrived, axes=1, precision="highest")

    return jax.tree.map(mean, own, sent)


def require_real(message: Message) -> None:
    """Check that a message holds real numbers: the average of integers would be rounded down.

    Args:
      message: a pytree of arrays.

    Raises:
      InputError: if an array holds integers.
    """
    for leaf in jax.tree.leaves(message):
        need = f"got a message of {leaf.dtype} numbers, need real numbers to average them; send it as float32"
        checks.require(jnp.issubdtype(leaf.dtype, jnp.inexact), need)
