"""Functions of plans in any form: who sends on a link, how many links there are, what remains when links are lost.

Nothing here touches a message: rows meet in `jdl.exchange` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jdl.types import Circulant, Dense, Edges, Groups, Links, Neighbours, Plan, Schedule, Server, Slots

__all__ = [
    "STOCHASTIC",
    "TALKS",
    "arrived",
    "back",
    "clients",
    "degree",
    "ids",
    "into",
    "lose",
    "neighbours",
    "one_by_one",
    "out_degree",
    "provides",
    "pushed",
    "receivers",
    "rows",
    "senders",
    "settled",
    "silence",
    "watched",
]


def rows(plan: Plan) -> int:
    """The number of rows that take part, m."""
    return plan.self_weights.shape[0]


def ids(plan: Plan) -> jax.Array:
    """The node ids of the rows, i32[m]."""
    return jnp.arange(rows(plan), dtype=jnp.int32) if plan.participants is None else plan.participants


def senders(links: Links) -> jax.Array:
    """The row that sends on each link, i32 in the shape of `links.weights`."""
    m = links.used.shape[0]
    row = jnp.arange(m, dtype=jnp.int32)
    match links:
        case Slots() | Edges():
            return links.senders
        case Circulant():
            return (row[:, None] + jnp.asarray(links.shifts, jnp.int32)[None, :]) % m
        case Dense():
            return jnp.broadcast_to(row[None, :], (m, m))
        case Server():
            return row
    raise TypeError(f"no links one by one in {type(links).__name__}; see one_by_one")


def receivers(links: Links) -> jax.Array:
    """The row that receives on each link, i32 in the shape of `links.weights`."""
    if isinstance(links, Edges):
        return links.receivers
    row = jnp.arange(links.used.shape[0], dtype=jnp.int32)
    return jnp.broadcast_to(row[:, None], links.used.shape)


def clients(chosen: jax.Array) -> Plan:
    """A plan of a server and the clients `chosen`: i32[m], ascending and distinct, all of the same weight."""
    m, dtype = chosen.shape[0], jnp.result_type(float)
    links = Server(weights=jnp.ones(m, dtype), used=jnp.ones(m, bool))
    return Plan(links=links, self_weights=jnp.zeros(m, dtype), participants=chosen, stochastic="row")


def neighbours(plan: Plan) -> Neighbours:
    """The links into every row, one by one, `[m, k]`. Places without a link name the row itself."""
    links = one_by_one(plan).links
    return Neighbours(ids=ids(plan)[senders(links)], weights=links.weights, used=links.used)


def back(links: Links) -> jax.Array:
    """For each link j -> i, the place of the link i -> j among those into j: i32[m, k]. Links must go both ways."""
    who = senders(links)
    row = jnp.arange(who.shape[0], dtype=jnp.int32)[:, None]
    if isinstance(links, Dense):
        return jnp.broadcast_to(row, who.shape)
    if not who.shape[1]:
        return who
    theirs = (who[who] == row[:, :, None]) & links.used[who]
    return jnp.argmax(theirs, axis=2).astype(jnp.int32)


def into(links: Links, values: jax.Array, m: int) -> jax.Array:
    """The sum of `values`, one for each link in the shape of `links.weights`, over the links into each of m rows."""
    if isinstance(links, Edges):
        return jnp.zeros(m, values.dtype).at[links.receivers].add(values)
    return values if values.ndim == 1 else jnp.sum(values, axis=1, dtype=values.dtype)


def one_by_one(plan: Plan) -> Plan:
    """The same W with its links listed one by one, so that single links can fail; only `Groups` are changed.

    In a group of r members, slot s of a row listens to the member s + 1 places after it, which makes r - 1 slots.
    """
    links = plan.links
    if not isinstance(links, Groups):
        return plan
    m, (_, r) = rows(plan), links.members.shape
    places = jnp.broadcast_to(jnp.arange(r, dtype=jnp.int32), links.members.shape)
    place = jnp.zeros(m, jnp.int32).at[jnp.where(links.used, links.members, m)].set(places, mode="drop")
    further = (place[:, None] + jnp.arange(1, r, dtype=jnp.int32)[None, :]) % r
    used = links.used[links.group[:, None], further]
    own = jnp.arange(m, dtype=jnp.int32)[:, None]
    who = jnp.where(used, links.members[links.group[:, None], further], own)
    weights = jnp.where(used, plan.self_weights[:, None], 0)
    return plan.replace(links=Slots(weights=weights, used=used, senders=who))


def degree(plan: Plan) -> jax.Array:
    """The number of links into each row this round, i32[m]. With a `Server` it is 1."""
    links = plan.links
    if isinstance(links, Groups):
        return jnp.sum(links.used, axis=1, dtype=jnp.int32)[links.group] - 1
    return into(links, links.used.astype(jnp.int32), rows(plan))


def out_degree(plan: Plan, count: int | None = None) -> jax.Array:
    """The number of links on which each row sends a copy this round, f[m].

    Links of a plan with mail say what is read, and its copies what is sent.

    Args:
      plan: the plan.
      count: the number of rows that send, s, where that is not m: senders index s rows then, and the result is f[s].
    """
    count = rows(plan) if count is None else count
    if plan.mail is not None:
        return plan.mail.copies.astype(jnp.float32)
    match plan.links:
        case Server(used=used):
            return used.astype(jnp.float32)
        case Dense(used=used):
            return jnp.sum(used, axis=0, dtype=jnp.float32)
        case Circulant(used=used) if plan.symmetric:
            return jnp.sum(used, axis=1, dtype=jnp.float32)
        case Circulant(used=used, shifts=shifts):
            columns = [jnp.roll(used[:, s], shift) for s, shift in enumerate(shifts)]
            return sum((column.astype(jnp.float32) for column in columns), start=jnp.zeros(used.shape[0], jnp.float32))
        case Groups():
            return degree(plan).astype(jnp.float32)
        case Slots(used=used) if plan.symmetric and count == rows(plan):
            return jnp.sum(used, axis=1, dtype=jnp.float32)
        case Slots(used=used, senders=who) | Edges(used=used, senders=who):
            return jnp.zeros(count, jnp.float32).at[who].add(used.astype(jnp.float32))
    raise TypeError(f"not a form of links: {type(plan.links).__name__}")


STOCHASTIC = frozenset({"row_stochastic", "column_stochastic", "doubly_stochastic"})
# A method that needs none of these words exchanges nothing, and so needs no graph.
TALKS = STOCHASTIC | {"links"}


def provides(plan: Plan) -> frozenset[str]:
    """What a plan guarantees, in the words of `Algorithm.needs`."""
    if isinstance(plan.links, Server):
        return frozenset({"server", "one_by_one", "each"})
    sums = {
        "doubly": {"doubly_stochastic", "row_stochastic", "column_stochastic"},
        "row": {"row_stochastic"},
        "column": {"column_stochastic"},
    }[plan.stochastic]
    listed = set() if isinstance(plan.links, Edges) else {"one_by_one", "per_link", "each"}
    return frozenset(sums | listed | {"peers", "links"} | ({"symmetric"} if plan.symmetric else set()))


def arrived(links: Links) -> jax.Array:
    """Which copies arrive, bool in the shape of `links.used`."""
    lost = getattr(links, "arrived", None)
    return links.used if lost is None else lost


def lose(plan: Plan, keep: jax.Array) -> Plan:
    """Mark some messages of a plan as lost. Their copies were sent, and W is settled when messages are mixed.

    Args:
      plan: a plan that lists its links one by one, see `one_by_one`.
      keep: bool in the shape of `links.weights`, false where the message is lost; symmetric for a symmetric plan.
    """
    return plan.replace(links=plan.links.replace(arrived=arrived(plan.links) & keep))


def settled(plan: Plan, columns: bool = False) -> Plan:
    """The W of what arrived: the weight of a lost message goes back to one of its two ends.

    It goes to the sender if the plan is column stochastic, and to the receiver otherwise, so that the same sums of W
    remain one. A plan that is doubly stochastic but directed cannot keep both: it keeps its rows, or its columns.

    Args:
      plan: the plan.
      columns: whether a plan that cannot keep both sums keeps those of its columns.

    Returns:
      A plan without lost messages; the plan itself if there are none.
    """
    links = plan.links
    if getattr(links, "arrived", None) is None:
        return plan
    lost = jnp.where(links.arrived, 0, links.weights).astype(links.weights.dtype)
    links = links.replace(weights=links.weights - lost, arrived=None)
    if isinstance(links, Server):
        return plan.replace(links=links)
    stochastic = plan.stochastic
    if stochastic == "doubly" and not plan.symmetric:
        stochastic = "column" if columns else "row"
    if stochastic == "column":
        home = jnp.zeros_like(plan.self_weights).at[senders(links)].add(lost)
    else:
        home = into(links, lost, rows(plan))
    return plan.replace(links=links, self_weights=plan.self_weights + home, stochastic=stochastic)


def pushed(plan: Plan) -> Plan:
    """A W whose columns sum to one over the links of a plan, after its losses; see `jdl.types.Push`."""
    if plan.stochastic == "row":
        plan = one_by_one(plan)
        share = (1 / (1 + out_degree(plan))).astype(plan.self_weights.dtype)
        weights = jnp.where(plan.links.used, share[senders(plan.links)], 0)
        plan = plan.replace(links=plan.links.replace(weights=weights), self_weights=share, stochastic="column")
    return settled(plan, columns=True)


def silence(plan: Plan, keep: jax.Array) -> Plan:
    """The plan without some links, which both ends leave out: nothing is sent on them, and W is settled at once."""
    rest = settled(lose(plan, keep))
    return rest.replace(links=rest.links.replace(used=rest.links.used & keep))


def watched(schedule: Schedule) -> dict[str, Any]:
    """What a schedule watches: for each name the shape of what one node reports, () for a number."""
    names = getattr(schedule, "watches", {})
    return dict(names) if isinstance(names, Mapping) else dict.fromkeys(sorted(names), ())
