"""What follows from deliveries of any exchange: the traffic, and which messages arrived at a server."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl import plan as plans
from jdl.types import Delivery, Traffic

__all__ = ["arrived_rows", "traffic_of"]


def traffic_of(deliveries: tuple[Delivery, ...]) -> Traffic:
    """The bits and messages of every row that was sent, `f[s]`: copies count whether they arrive or not.

    Parts of one message that take the same link are one message on it.
    """
    if len(deliveries) == 1:
        (delivery,) = deliveries
        links = plans.out_degree(delivery.plan, delivery.bits.shape[0])
        return Traffic(bits=links * delivery.bits, messages=links * jnp.where(delivery.bits > 0, delivery.copies, 0))
    bits, most, plan = jnp.float32(0), jnp.float32(0), None
    for delivery in deliveries:
        plan = plans.one_by_one(delivery.plan)
        who = plans.senders(plan.links)
        used = plan.links.used.astype(jnp.float32)
        copies = jnp.where(delivery.bits > 0, delivery.copies, 0)[who] * used
        bits, most = bits + delivery.bits[who] * used, jnp.maximum(most, copies)
    count = deliveries[0].bits.shape[0]
    total = lambda of_links: jnp.zeros(count, jnp.float32).at[plans.senders(plan.links)].add(of_links)
    return Traffic(bits=total(bits), messages=total(most))


def arrived_rows(deliveries: tuple[Delivery, ...]) -> jax.Array:
    """Which rows arrived at a server: bool[s]. A row of which any part arrived has arrived."""
    parts = [plans.arrived(delivery.plan.links) & (delivery.bits > 0) for delivery in deliveries]
    return jnp.any(jnp.stack(parts), axis=0) if len(parts) > 1 else parts[0]
