"""The goal of a run: the values of columns at which it ends before its last round."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jdl import checks
from jdl.engine.metrics import EVALUATED
from jdl.engine.sim import Simulation, simulate
from jdl.runs.history import Row

__all__ = ["Goal", "check_columns", "goal_of"]

RELATIONS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


@dataclasses.dataclass(frozen=True)
class Goal:
    """Conditions that an evaluation has to meet, all of them.

    Args:
      conditions: triples of a column, a relation and a value.

    >>> Goal((("mean_accuracy", ">=", 0.9),)).reached({"mean_accuracy": 0.95})
    True
    """

    conditions: tuple[tuple[str, str, float], ...]

    def reached(self, row: Row) -> bool:
        """Whether an evaluation meets all conditions; of several seeds, whether all that have not diverged do.

        Raises:
          InputError: if the evaluation has no such column.
        """
        return all(self._met(row, *condition) for condition in self.conditions)

    def met(self, row: Row) -> np.ndarray:
        """Which seeds of an evaluation meet all conditions, bool[S]; none that has diverged does."""
        return np.all([RELATIONS[relation](row[column], value) for column, relation, value in self.conditions], axis=0)

    def _met(self, row: Row, column: str, relation: str, value: float) -> bool:
        numbers = {name for name, one in row.items() if "/" not in name}
        checks.known("column of the history in until", column, numbers)
        found = np.atleast_1d(np.asarray(row[column], float))
        found = found[~np.isnan(found)]
        return found.size > 0 and bool(np.all(RELATIONS[relation](found, value)))

    def __str__(self) -> str:
        return " and ".join(f"{column} {relation} {value:g}" for column, relation, value in self.conditions)


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
        for column in asked:
            names = {name for name in found if "/" not in name} | ALWAYS | {EVALUATED}
            checks.known("column of the history in until", column, names)


def goal_of(until: Mapping[str, Any] | None) -> Goal | None:
    """Make the goal of the caller's `until`.

    Args:
      until: a value by column, or a relation and a value, such as "<= 0.1". A value alone is a least one for an
        accuracy, and a greatest one for everything else.

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


def _condition(column: str, given: Any) -> tuple[str, str, float]:
    words = given.split() if isinstance(given, str) else [">=" if "accuracy" in str(column) else "<=", given]
    try:
        relation, value = words
        good = relation in RELATIONS and not isinstance(value, bool) and np.isfinite(value := float(value))
    except (TypeError, ValueError):
        good = False
    relations = ", ".join(RELATIONS)
    need = f'need a number, or one of {relations} before a number; try until={{{column!r}: "<= 0.1"}}'
    checks.require(good, f"got until={{{column!r}: {given!r}}}, {need}")
    return str(column), relation, value
