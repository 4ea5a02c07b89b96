"""What nodes report: to the history, and to a schedule that watches."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jdl import checks
from jdl import plan as plans
from jdl.engine.metrics.statistics import consensus_distance
from jdl.engine.nodes import node_of
from jdl.engine.state import RunState, Simulation
from jdl.types import Each, Info, Message, PyTree, Reports, Seen

__all__ = ["bits_of_loss", "mean_of", "reports_of", "see", "unseen"]

# A loss is sent as one number in float32.
LOSS_BITS = 32


def watched(s: Simulation) -> dict[str, jax.ShapeDtypeStruct]:
    """What the schedule watches: for each name the shape of what one node reports."""
    real = jnp.result_type(float)
    return {name: _shape(given, real) for name, given in plans.watched(s.schedule).items()}


def _shape(given: Any, real: jnp.dtype) -> jax.ShapeDtypeStruct:
    return given if hasattr(given, "dtype") else jax.ShapeDtypeStruct(tuple(given), real)


def unseen(s: Simulation) -> Seen | None:
    """What a schedule is told before the first round; None if it watches nothing."""
    names, n = watched(s), s.problem.n
    if not names:
        return None
    lead = {name: () if name == "consensus_distance" else (n,) for name in names}
    values = {name: jnp.zeros((*lead[name], *one.shape), one.dtype) for name, one in names.items()}
    return Seen(values, jnp.zeros(n, bool), s.who)


def see(s: Simulation, state: RunState, rows: dict, before: PyTree, after: PyTree, reports: Reports) -> Seen | None:
    """What a schedule is told after a round.

    Args:
      s: the simulation.
      state: the state before the round.
      rows: the stacked fields of each row's `Node`.
      before: the states of the rows before the round.
      after: the states of all nodes after it.
      reports: what the rows reported.
    """
    if state.seen is None:
        return None
    values, present, n = {}, reports.present, s.problem.n
    ids = jnp.where(present, reports.ids, n)  # the index n drops a row; a node whose messages are late has several rows
    for name, old in state.seen.values.items():
        if name == "consensus_distance":
            values[name] = consensus_distance(jax.vmap(s.algorithm.model)(after)).astype(old.dtype)
            continue
        new = reports.values[name] if name in reports.values else _measured(s, state, name, rows, before, reports)
        got, need = new.shape[1:], old.shape[1:]
        checks.require(got == need, f"got a report {name!r} of shape {got}, the schedule needs {need}; report that")
        late = f"got {type(s.schedule).__name__} that watches {name!r}, and messages that are late"
        need = f"need a report that travels; let {type(s.algorithm).__name__} send it as an Each part"
        checks.require(new.shape[0] == present.shape[0], f"{late}, {need}")
        values[name] = old.at[ids].set(new.astype(old.dtype), mode="drop")
    heard = jnp.zeros_like(state.seen.heard).at[ids].set(True, mode="drop")
    return Seen(values, heard, s.who)


def _measured(s: Simulation, state: RunState, name: str, rows: dict, before: PyTree, reports: Reports) -> jax.Array:
    """The loss of the model with which each row began the round, on minibatch 0, which is known for every method."""
    algorithm, schedule = type(s.algorithm).__name__, type(s.schedule).__name__
    has = ", ".join(["loss", "consensus_distance", *sorted(reports.values)])
    checks.require(name == "loss", f"got {schedule} that watches {name!r}, {algorithm} reports {has}; choose another")

    def loss(told, row, node):
        s, server = told
        return node_of(s, row).loss(s.algorithm.model(server if s.has_server else node))

    return s.placement.over(loss, "loss")((s, state.server), rows, before)


def bits_of_loss(s: Simulation, message: Message) -> int:
    """What the loss that a schedule of clients watches adds to a client's message, in bits; 0 if it is a part of it."""
    reported = isinstance(message, dict) and isinstance(message.get("loss"), Each)
    return LOSS_BITS if s.has_server and "loss" in watched(s) and not reported else 0


def reports_of(s: Simulation, aggregate: Message) -> Info:
    """The reports in what arrived at a server: `Each` parts under names of their own, of one number, or watched."""
    if not isinstance(aggregate, dict):
        return {}
    parts = {name: part.content for name, part in aggregate.items() if isinstance(part, Each)}
    seen = watched(s)
    return {name: x for name, x in parts.items() if hasattr(x, "ndim") and (x.ndim == 1 or name in seen)}


def mean_of(reports: Reports) -> Info:
    """The mean of each report of one number over the rows that took part; NaN if none did."""

    def mean(values):
        real = jnp.issubdtype(values.dtype, jnp.inexact)  # a report may be a whole number, or true or false
        values = values if real else values.astype(jnp.result_type(float))
        return jnp.sum(jnp.where(reports.present, values, 0)) / jnp.sum(reports.present, dtype=values.dtype)

    return {name: mean(values) for name, values in reports.values.items() if values.ndim == 1}
