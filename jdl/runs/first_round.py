"""Checks of what the parts of a simulation return before the first round; only shapes are computed."""

from __future__ import annotations

from collections.abc import Mapping

import jax

from jdl import checks
from jdl import plan as plans
from jdl.engine import metrics
from jdl.engine.rounds import plan_at
from jdl.engine.sim import INIT, Simulation, before_nodes, models
from jdl.runs.signatures import check_function
from jdl.runs.users_errors import explained
from jdl.types import Plan

__all__ = ["check_memory", "check_metrics", "check_words", "first_plan"]


def check_words(built: Simulation) -> None:
    """Check what a schedule watches and provides, which it may read off its arrays.

    Raises:
      InputError: if one of them is not a set of words.
    """
    schedule = type(built.schedule).__name__
    for name in ("watches", "provides"):
        words = getattr(built.schedule, name, frozenset())
        kinds = (set, frozenset, Mapping) if name == "watches" else (set, frozenset)
        need = f"need a set of words; write frozenset({{'{words if isinstance(words, str) else 'loss'}'}})"
        checks.require(isinstance(words, kinds), f"got {schedule}.{name}={words!r}, {need}")


def first_plan(built: Simulation) -> Plan:
    """The plan of the first round, shapes only.

    Args:
      built: the simulation, of which only shapes are read.

    Raises:
      InputError: if the schedule does not return a plan and its memory, or if a mask is not bool[m].
    """
    schedule = type(built.schedule).__name__
    out = jax.eval_shape(lambda s: plan_at(s, before_nodes(s)), built)
    good = isinstance(out, tuple) and len(out) == 2 and isinstance(out[0], Plan)
    got = f"got {schedule} that returns {type(out).__name__}"
    checks.require(good, f"{got}, need (plan, memory); return both, () if it has no memory")
    plan, m = out[0], plans.rows(out[0])
    for name in ("active", "works", "joins"):
        mask = getattr(plan, name)
        fits = mask is None or (mask.shape == (m,) and mask.dtype == bool)
        says = f"got {schedule} whose plan has {name} of shape {mask if mask is None else mask.shape}"
        checks.require(fits, f"{says} and type {mask if mask is None else mask.dtype}, need bool[{m}]; give one a row")
    waits = plan.mail is None or getattr(built.schedule, "places", 0)
    says = f"got {schedule} whose plan has mail and which does not say so"
    checks.require(bool(waits), f"{says}, need places for it; give the schedule the attributes `places` and `sums`")
    served = f"got {schedule} whose plan has joins, and a method with a server"
    need = "need a graph: who joins begins with its neighbours' models; leave joins out, a client that is sampled later"
    checks.require(plan.joins is None or not built.has_server, f"{served}, {need} hears the server")
    return plan


def check_memory(built: Simulation) -> None:
    """Check that every array that an oracle remembers has an entry for each node.

    Raises:
      InputError: if an array of its memory has another number of entries than there are nodes.
    """
    n = built.problem.n
    for leaf in jax.tree.leaves(jax.eval_shape(before_nodes, built).oracle_state):
        got = f"got an oracle whose `init` returns an array of shape {leaf.shape}"
        checks.require(leaf.shape[:1] == (n,), f"{got}, need one entry for each of {n} nodes, [n, ...]; use problem.n")


def check_metrics(built: Simulation) -> None:
    """Check that the user's metrics can be compiled, and that they return numbers; skipped with `mapping="loop"`.

    Raises:
      InputError: if a metric fails, and the sentence says which one and where; if two of them have the same column.
    """
    if built.placement.mapping == "loop":
        return
    columns: set[str] = set()
    for name, function in built.metrics.functions:
        check_function(f"metrics[{name!r}]", function, "models, state, simulation")

        def measured(s: Simulation, name=name, function=function) -> dict[str, jax.Array]:
            state = INIT(s)
            return metrics.users(((name, function),), models(s, state), state, s)

        try:
            with explained(built.algorithm, f"a metric {name!r} that"):
                found = jax.eval_shape(measured, built).keys()
        except checks.InputError:
            raise
        except Exception as error:  # no line of the user's code: a function of a library itself
            why = (str(error).strip().splitlines() or [""])[0][:200]
            got = f"got a metric {name!r} that fails when it is called as (models, state, simulation)"
            need = "need a function of these that uses jax.numpy; write one that calls it"
            raise checks.InputError(f"{got}: {type(error).__name__}: {why}; {need}") from error
        twice = " and ".join(sorted(columns & found))
        checks.require(not twice, f"got metric {name!r}, whose column {twice} exists already; choose another name")
        columns |= found
