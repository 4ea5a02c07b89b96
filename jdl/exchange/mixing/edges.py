"""Weighted sums over lists of links, in any order, or arranged in levels for graphs with hubs."""

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

# The number of slots per link that a row has on average. With 4 random links on average, that is 16 slots, and one row
# in a million has more links.
SPARE = 4


class Arranged(NamedTuple):
    """A list of links that is sorted by receiver.

    Args:
      slots: the first links of each row, in slots.
      edges: all links, sorted by receiver.
      late: i32[e], the indices of the links that do not fit the slots; they are added one by one.
      count: i32[], the number of those links.
    """

    slots: Slots
    edges: Edges
    late: jax.Array
    count: jax.Array


def arranged(links: Edges, m: int) -> Arranged:
    """Sort a list of links by receiver.

    Args:
      links: the list. An empty list becomes one link of weight zero, from row 0 to itself.
      m: the number of rows.

    Returns:
      The sorted links.
    """
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
    """Sum over a list of links: those in slots at once, and the remaining ones one by one.

    The order of the additions is fixed, so that two runs agree to the last bit; a scatter with atomic additions would
    not guarantee this.

    Args:
      plan: a plan with `Arranged` links.
      own: f[m, ...], the models of the rows.
      sent: f[m, ...], the messages.

    Returns:
      f[m, ...], the sums.
    """
    slots, edges, late, count = plan.links
    _, base = beginning(plan, own)
    base = jnp.broadcast_to(base, own.shape)
    total = by_slots(plan.replace(links=slots), own, sent)
    return _with_late((late, edges.senders, edges.receivers, count), total, edges.weights, sent, base)


Ends = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


@jax.custom_jvp
def _with_late(ends: Ends, total: jax.Array, weights: jax.Array, sent: jax.Array, base: jax.Array) -> jax.Array:
    """The sums with the links that do not fit the slots; how many they are is known only in the round."""
    late, senders, receivers, count = ends

    def add(i, total):
        link = late[i]
        row = receivers[link]
        return total.at[row].add(term(weights[link][None], sent[senders[link]][None], base[row][None])[0])

    return jax.lax.fori_loop(jnp.int32(0), count, add, total)


def _with_late_at_once(ends: Ends, total: jax.Array, weights: jax.Array, sent: jax.Array, base: jax.Array) -> jax.Array:
    """The same in another order of additions and with more memory, without a loop, so that it can be reversed."""
    late, senders, receivers, count = ends
    weights = jnp.where(jnp.arange(late.size, dtype=jnp.int32) < count, weights[late], 0)
    row = receivers[late]
    return total.at[row].add(term(weights, sent[senders[late]], base[row]))


@_with_late.defjvp
def _with_late_jvp(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    ends, *values = primals
    return _with_late(*primals), jax.jvp(lambda *x: _with_late_at_once(ends, *x), tuple(values), tuple(tangents[1:]))[1]


def by_levels(plan: Plan, own: jax.Array, sent: jax.Array) -> jax.Array:
    """Sum over links in levels: slots of moderate width for all rows, and a separate sum for the further links of hubs.

    Args:
      plan: a plan with `Edges` that have levels.
      own: f[m, ...], the models of the rows.
      sent: f[m, ...], the messages.

    Returns:
      f[m, ...], the sums.
    """
    links, levels, m = plan.links, plan.links.levels, plans.rows(plan)
    cut = m * levels.width
    parts = (links.weights, links.used, links.senders)
    slots = Slots(*(x[:cut].reshape(m, levels.width) for x in parts))
    total = by_slots(plan.replace(links=slots), own, sent)
    weights, senders = (x[cut:].reshape(-1, levels.hub_width) for x in (links.weights, links.senders))
    if not weights.shape[0]:
        return total
    hubs = rows(jnp.broadcast_to(beginning(plan, own)[1], own.shape), links.receivers[cut :: levels.hub_width])

    def add(slot, total):
        return total + term(weights[:, slot], rows(sent, senders[:, slot]), hubs)

    parts = xla.accumulate(levels.hub_width, add, jnp.zeros_like(hubs))
    for places in levels.sums:

        def add_parts(slot, total, places=places, parts=parts):
            return total + parts.at[places[:, slot]].get(mode="fill", fill_value=0)

        zeros = jnp.zeros((places.shape[0], *own.shape[1:]), own.dtype)
        parts = xla.accumulate(places.shape[1], add_parts, zeros)
    return total + parts.at[levels.extra].get(mode="fill", fill_value=0)
