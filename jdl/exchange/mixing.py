"""How rows meet: weighted sums in the form a plan asks for, and neighbourhoods message by message.

Where rows of W sum to one, mixing is computed as `own + sum_j w_ij (sent_j - own)`: equal models stay equal to the
last bit, and with symmetric weights the mean over nodes is kept to rounding of the *differences*, however badly a
weight such as 1/3 is represented. Integrated over thousands of rounds that is the difference between an exact
method that stays at the optimum in float32 and one that drifts away from it (D2, EXTRA).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl import plan as plans
from jdl import tree
from jdl.types import Circulant, Dense, Message, Plan, Server, Slots, Traffic, Wire

__all__ = ["mix", "neighbourhood", "traffic"]


def mix(plan: Plan, own: Message, sent: Message) -> Message:
    """`own_i W_ii + sum_j W_ij sent_j` for every row; for a `Server` the weighted mean of `sent`, without row axis."""
    if isinstance(plan.links, Server):
        total = jnp.sum(plan.links.weights)
        weights = plan.links.weights / jnp.where(total > 0, total, 1)  # nothing arrived: the mean change is zero
        return jax.tree.map(lambda x: jnp.tensordot(weights.astype(x.dtype), x, axes=1, precision="highest"), sent)
    return jax.tree.map(lambda own, sent: _mix_array(plan, own, sent), own, sent)


def _mix_array(plan: Plan, own: jax.Array, sent: jax.Array) -> jax.Array:
    links, rows_sum_to_one = plan.links, plan.kind != "column"
    if isinstance(links, Dense):
        # Centred for the same reason as above: products then carry differences, not models.
        centre = jnp.mean(own, axis=0, keepdims=True) if rows_sum_to_one else jnp.zeros_like(own[:1])
        weights = links.weights.astype(own.dtype)
        total = jnp.tensordot(weights, sent - centre, axes=1, precision="highest")
        if rows_sum_to_one:
            return own + total - tree.column(jnp.sum(weights, axis=1), own) * (own - centre)
        return tree.column(plan.self_weights.astype(own.dtype), own) * own + total
    total = own if rows_sum_to_one else tree.column(plan.self_weights.astype(own.dtype), own) * own
    for slot in range(links.weights.shape[1]):
        heard = _heard(links, sent, slot)
        weight = tree.column(links.weights[:, slot].astype(own.dtype), own)
        total = total + weight * (heard - own if rows_sum_to_one else heard)
    return total


def _heard(links: Slots | Circulant, sent: jax.Array, slot: int) -> jax.Array:
    """What every row hears in one slot."""
    if isinstance(links, Circulant):
        return jnp.roll(sent, -links.shifts[slot], axis=0)
    return sent[links.senders[:, slot]]


def neighbourhood(plan: Plan, own: jax.Array, sent: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Every row's messages one by one, its own first: values `[m, k+1, ...]` and `bool[m, k+1]`, what arrived.

    For rules that need more than a sum (medians, clipping). Costs k+1 times the memory of a message. A `Server` has
    one neighbourhood, of all m messages and none of its own: `[1, m, ...]`.
    """
    links = plan.links
    if isinstance(links, Server):
        return sent[None], (links.weights != 0)[None]
    m = plans.rows(plan)
    if isinstance(links, Dense):
        others = jnp.broadcast_to(sent[None], (m, *sent.shape))
    else:
        others = jnp.stack([_heard(links, sent, slot) for slot in range(links.weights.shape[1])], axis=1)
    arrived = jnp.concatenate([jnp.ones((m, 1), bool), links.weights != 0], axis=1)
    return jnp.concatenate([own[:, None], others], axis=1), arrived


def traffic(wire: Wire) -> Traffic:
    """What every row sent: one copy on each link used, whether or not it arrived; an empty message is not sent."""
    copies = jnp.where(wire.bits > 0, plans.out_degree(wire.plan), 0)
    return Traffic(bits=copies * wire.bits, messages=copies)
