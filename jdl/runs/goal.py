"""The goal of a run: the values of columns at which it ends before its last round, and what it may spend."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jdl import checks
from jdl.engine.clock import COLUMNS
from jdl.engine.metrics import EVALUATED
from jdl.engine.sim import Simulation, simulate
from jdl.runs.history import Row
from jdl.runs.planned import times_of

__all__ = ["Goal", "check_columns", "goal_of"]

RELATIONS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


# What a run spends. A least value of it is a limit, at which the run ends whether or not it has met the conditions.
SPENT = ("simulated_seconds", "seconds", "joules", "bits_sent", "bits_received", "messages_sent", "megabytes")


@dataclasses.dataclass(frozen=True)
class Goal:
    """Conditions that an evaluation has to meet, all of them; or one of the limits of what the run may spend.

    Args:
      conditions: triples of a column, a relation and a value.

    >>> Goal((("mean_accuracy", ">=", 0.9),)).reached({"mean_accuracy": 0.95})
    True
    >>> both = Goal((("mean_accuracy", ">=", 0.9), ("bits_sent", ">=", 1e6)))
    >>> both.reached({"mean_accuracy": 0.5, "bits_sent": 2e6}), str(both)
    (True, 'mean_accuracy >= 0.9 or bits_sent >= 1e+06')
    """

    conditions: tuple[tuple[str, str, float], ...]

    @property
    def groups(self) -> list[list[tuple[str, str, float]]]:
        """The conditions that must be met together; any of the groups ends a run."""
        limits = [one for one in self.conditions if _is_limit(*one[:2])]
        aims = [one for one in self.conditions if one not in limits]
        return [group for group in (aims, *([one] for one in limits)) if group]

    @property
    def limits(self) -> list[tuple[str, float]]:
        """The columns of what a run spends that end it in any case, and their values."""
        return [(column, value) for column, relation, value in self.conditions if _is_limit(column, relation)]

    def reached(self, row: Row) -> bool:
        """Whether an evaluation meets all conditions or a limit; of several seeds, whether all not diverged do.

        Raises:
          InputError: if the evaluation has no such column.
        """
        return any(all([self._met(row, *condition) for condition in group]) for group in self.groups)

    def met(self, row: Row) -> np.ndarray:
        """Which seeds of an evaluation meet all conditions or a limit, bool[S]; no aim is met by one that diverged."""
        met = lambda column, relation, value: RELATIONS[relation](row[column], value)
        return np.any([np.all([met(*one) for one in group], axis=0) for group in self.groups], axis=0)

    def _met(self, row: Row, column: str, relation: str, value: float) -> bool:
        numbers = {name for name, one in row.items() if "/" not in name}
        checks.known("column of the history in until", column, numbers)
        found = np.atleast_1d(np.asarray(row[column], float))
        found = found[~np.isnan(found)]
        return found.size > 0 and bool(np.all(RELATIONS[relation](found, value)))

    def __str__(self) -> str:
        said = lambda group: " and ".join(f"{column} {relation} {value:g}" for column, relation, value in group)
        return " or ".join(map(said, self.groups))


PLANNED = {"seconds_at": "simulated_seconds", "waited_at": "idle_share"}  # columns of schedules that know these

# Columns that every run has. To know the others a round is traced.
ALWAYS = {"round", "seconds", "bits_sent", "messages_sent", "megabytes", "mean_loss", "mean_model_loss", "worst_loss"}
ALWAYS |= {"consensus_distance"}


def check_columns(goal: Goal | None, simulation: Simulation) -> None:
    """Check that a run will have the columns of its goal, before anything of it is written.

    Args:
      goal: the goal.
      simulation: the composed simulation.

    Raises:
      InputError: if there is no such column.
    """
    asked = [] if goal is None else [column for column, *_ in goal.conditions if column not in ALWAYS]
    if asked and simulation.placement.mapping != "loop":
        found = jax.eval_shape(lambda s: simulate(s, rounds=1)[1], simulation)
        known = times_of(simulation.schedule) or {}
        planned = {column for name, column in PLANNED.items() if name in known}
        timed = planned if simulation.clock is None else set(COLUMNS)
        lacks = "which has no clock; give one, clock=Clock(), or --clock"
        if planned:
            lacks = f"over {type(simulation.schedule).__name__}, which tells no more than {', '.join(sorted(planned))}"
            lacks += '; try until={"simulated_seconds": 10.0}'
        for column in asked:
            there = column not in COLUMNS or column in found or column in timed
            checks.require(there, f"got {column} in until for a run {lacks}")
            free = "whose clock counts no energy; give Clock(watts=5.0), or joules_per_bit"
            checks.require(
                column != "joules" or _counts_energy(simulation.clock), f"got joules in until for a run {free}"
            )
            names = {name for name in found if "/" not in name} | ALWAYS | {EVALUATED, *COLUMNS}
            checks.known("column of the history in until", column, names)


def _counts_energy(clock: Any) -> bool:
    """Whether computing or sending costs energy; it may, where numbers are traced."""
    costs = clock.watts, clock.joules_per_bit
    return any(isinstance(cost, jax.core.Tracer) or bool(np.any(np.asarray(cost))) for cost in costs)


def goal_of(until: Mapping[str, Any] | None) -> Goal | None:
    """Make the goal of the caller's `until`.

    Args:
      until: a value by column, or a relation and a value, such as "<= 0.1". A value alone is a least one for an
        accuracy and for what a run spends (seconds, bits, joules), and a greatest one for everything else.

    Raises:
      InputError: if `until` is no mapping, or if a value is neither a number nor a relation and a number.

    >>> print(goal_of({"mean_accuracy": 0.9, "consensus_distance": 0.1, "gap": "> 2"}))
    mean_accuracy >= 0.9 and consensus_distance <= 0.1 and gap > 2
    """
    if until is None:
        return None
    need = 'need columns of the history and their values; try until={"mean_accuracy": 0.9}'
    checks.require(isinstance(until, Mapping) and len(until) > 0, f"got until={until!r}, {need}")
    return Goal(tuple(_condition(column, value) for column, value in until.items()))


def _is_limit(column: str, relation: str) -> bool:
    """Whether a condition is a limit of what a run spends."""
    return column in SPENT and relation.startswith(">")


def _condition(column: str, given: Any) -> tuple[str, str, float]:
    least = "accuracy" in str(column) or column in SPENT
    words = given.split() if isinstance(given, str) else [">=" if least else "<=", given]
    try:
        relation, value = words
        good = relation in RELATIONS and not isinstance(value, bool) and np.isfinite(value := float(value))
    except (TypeError, ValueError):
        good = False
    relations = ", ".join(RELATIONS)
    need = f'need a number, or one of {relations} before a number; try until={{{column!r}: "<= 0.1"}}'
    checks.require(good, f"got until={{{column!r}: {given!r}}}, {need}")
    checks.require(
        not (_is_limit(str(column), relation) and value < 0),
        f"got until={{{column!r}: {given!r}}}, need a limit of at least 0; try {column}=1.0",
    )
    return str(column), relation, value
