"""Algebra on plans, for every form alike: who sends on a link, how many links, what happens when one is lost.

Nothing here touches a message: rows meet in `jdl.exchange` alone.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl.types import Circulant, Dense, Links, Plan, Server, Slots

__all__ = ["degree", "drop", "ids", "out_degree", "provides", "rows", "senders"]


def rows(plan: Plan) -> int:
    """m, the number of rows that take part."""
    return plan.links.used.shape[0]


def ids(plan: Plan) -> jax.Array:
    """i32[m], the node ids of the rows."""
    return jnp.arange(rows(plan), dtype=jnp.int32) if plan.participants is None else plan.participants


def senders(links: Links) -> jax.Array:
    """i32, the row that sends on each link, in the shape of `links.weights`."""
    m = links.used.shape[0]
    row = jnp.arange(m, dtype=jnp.int32)
    match links:
        case Slots():
            return links.senders
        case Circulant():
            return (row[:, None] + jnp.asarray(links.shifts, jnp.int32)[None, :]) % m
        case Dense():
            return jnp.broadcast_to(row[None, :], (m, m))
        case Server():
            return row
    raise TypeError(f"not a form of links: {type(links).__name__}")


def degree(plan: Plan) -> jax.Array:
    """i32[m], links into each row this round (1, the server's, with a `Server`)."""
    used = plan.links.used
    return used.astype(jnp.int32) if used.ndim == 1 else jnp.sum(used, axis=1, dtype=jnp.int32)


def out_degree(plan: Plan) -> jax.Array:
    """f[m], links on which each row sends a copy this round."""
    match plan.links:
        case Server(used=used):
            return used.astype(jnp.float32)
        case Dense(used=used):
            return jnp.sum(used, axis=0, dtype=jnp.float32)
        case Circulant(used=used, shifts=shifts):
            columns = [jnp.roll(used[:, s], shift) for s, shift in enumerate(shifts)]
            return sum((column.astype(jnp.float32) for column in columns), start=jnp.zeros(used.shape[0], jnp.float32))
        case Slots(used=used, senders=who):
            if plan.symmetric:
                return jnp.sum(used, axis=1, dtype=jnp.float32)
            return jnp.zeros(used.shape[0], jnp.float32).at[who].add(used.astype(jnp.float32))
    raise TypeError(f"not a form of links: {type(plan.links).__name__}")


def provides(plan: Plan) -> frozenset[str]:
    """What a plan guarantees, in the words of `Algorithm.needs`."""
    if isinstance(plan.links, Server):
        return frozenset({"server", "one_by_one"})
    kinds = {
        "doubly": {"doubly_stochastic", "row_stochastic", "column_stochastic"},
        "row": {"row_stochastic"},
        "column": {"column_stochastic"},
    }[plan.kind]
    return frozenset(kinds | {"peers", "one_by_one"} | ({"symmetric"} if plan.symmetric else set()))


def drop(plan: Plan, keep: jax.Array) -> Plan:
    """The plan with the links where `keep` is false carrying nothing; `used` stays: the copy was sent, and lost.

    The lost weight goes back to the sender where the plan is column-stochastic and to the receiver elsewhere, so
    that W keeps its kind: for a symmetric plan `keep` must be symmetric too, and both ends are repaired alike. A
    plan that is doubly stochastic but directed cannot keep it, and is row-stochastic from here on.
    """
    links = plan.links
    lost = jnp.where(keep, 0, links.weights).astype(links.weights.dtype)
    links = links.replace(weights=links.weights - lost)
    if isinstance(links, Server):
        return plan.replace(links=links)
    if plan.kind == "column":
        home = jnp.zeros_like(plan.self_weights).at[senders(links)].add(lost)
    else:
        home = jnp.sum(lost, axis=1)
    kind = "row" if plan.kind == "doubly" and not plan.symmetric else plan.kind
    return plan.replace(links=links, self_weights=plan.self_weights + home, kind=kind)
