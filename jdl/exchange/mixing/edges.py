"""Weighted sums over lists of links: in any order, or laid out in levels for the sake of hubs."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jdl import plan as plans
from jdl.engine import xla
from jdl.exchange.mixing.slots import by_slots
from jdl.exchange.mixing.sums import beginning, rows, term
from jdl.types import Edges, Plan, Slots

__all__ = ["Arranged", "arranged", "by_edges", "by_levels"]

# Slots for each link that a row of a list has on average: of 4 random links a row, one row in a million has over 16.
SPARE = 4


class Arranged(NamedTuple):
    """A list of links in the order of their receivers, as slots, and what does not fit these: `late`, one by one."""

    slots: Slots
    edges: Edges
    late: jax.Array
    count: jax.Array


def arranged(links: Edges, m: int) -> Arranged:
    """In the order of receivers; a list without links counts as one link of weight zero, from row 0 to itself."""
    if not links.weights.shape[0]:
        links = jax.tree.map(lambda x: jnp.zeros((1,), x.dtype), links)
    e = links.weights.shape[0]
    width = SPARE * -(-e // m)
    order, own = jnp.argsort(links.receivers), jnp.arange(m, dtype=jnp.int32)
    links = jax.tree.map(lambda x: x[order], links)
    start, end = (jnp.searchsorted(links.receivers, own, side=side).astype(jnp.int32) for side in ("left", "right"))
    place = start[:, None] + jnp.arange(width, dtype=jnp.int32)[None, :]
    used, place = place < end[:, None], jnp.minimum(place, e - 1)
    slots = Slots(
        weights=jnp.where(used, links.weights[place], 0),
        used=used,
        senders=jnp.where(used, links.senders[place], own[:, None]),
    )
    over = jnp.arange(e, dtype=jnp.int32) - start[links.receivers] >= width
    (late,) = jnp.nonzero(over, size=e, fill_value=0)
    return Arranged(slots, links, late, jnp.sum(over, dtype=jnp.int32))


def by_edges(plan: Plan, own: jax.Array, sent: jax.Array) -> jax.Array:
    """As slots, made in the round from the order of the links by receiver, and one by one what does not fit them.

    Sums have an order of their own, so that two runs agree bit for bit where a scatter with atomic adds would not.
    """
    slots, edges, late, count = plan.links
    _, base = beginning(plan, own)
    base = jnp.broadcast_to(base, own.shape)

    def add(i, total):
        link = late[i]
        row = edges.receivers[link]
        return total.at[row].add(term(edges.weights[link][None], sent[edges.senders[link]][None], base[row][None])[0])

    return jax.lax.fori_loop(jnp.int32(0), count, add, by_slots(plan.replace(links=slots), own, sent))


def by_levels(plan: Plan, own: jax.Array, sent: jax.Array) -> jax.Array:
    """Slots of moderate width, and the rest of what hubs hear summed up apart."""
    links, levels, m = plan.links, plan.links.levels, plans.rows(plan)
    cut = m * levels.width
    parts = (links.weights, links.used, links.senders)
    slots = Slots(*(x[:cut].reshape(m, levels.width) for x in parts))
    total = by_slots(plan.replace(links=slots), own, sent)
    weights, senders = (x[cut:].reshape(-1, levels.hub_width) for x in (links.weights, links.senders))
    if not weights.shape[0]:
        return total
    hubs = rows(jnp.broadcast_to(beginning(plan, own)[1], own.shape), links.receivers[cut :: levels.hub_width])
    parts = jnp.zeros_like(hubs)
    for slot in range(levels.hub_width):
        parts = parts + term(weights[:, slot], rows(sent, senders[:, slot]), hubs)
    for which in levels.sums:

        def add_parts(slot, total, which=which, parts=parts):
            return total + parts.at[which[:, slot]].get(mode="fill", fill_value=0)

        parts = xla.accumulate(which.shape[1], add_parts, jnp.zeros((which.shape[0], *own.shape[1:]), own.dtype))
    return total + parts.at[levels.extra].get(mode="fill", fill_value=0)
