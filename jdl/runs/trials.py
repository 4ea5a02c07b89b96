"""Runs of one simulation with other values of one of its numbers, and their scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jdl.engine.state import RunState, Simulation
from jdl.runs.driver import Driver, Reached
from jdl.runs.interrupt import Stop
from jdl.runs.pace import Pace
from jdl.runs.progress import Bar
from jdl.runs.several import InTurn, driven
from jdl.types import PyTree

__all__ = ["Score", "Trials"]

Score = str | Callable[[dict[str, Any]], Any]


@dataclasses.dataclass(frozen=True)
class _From(InTurn):
    """Simulations that go on from states, and not from their start."""

    states_before: tuple | None = None

    def begin(self, state: tuple | None) -> Reached:
        return super().begin(self.states_before)


@dataclasses.dataclass(frozen=True)
class Trials:
    """Runs a simulation with other values of a number; see `jdl.runs.tune.tune` for the arguments."""

    simulation: Simulation
    field: str
    rounds: int
    eval_every: int
    score: Score
    params: PyTree | None
    at_once: int

    def scores(self, values: np.ndarray) -> np.ndarray:
        """The score of each value, f64[V]; infinite for a run that diverges."""
        return np.array([self._score(rows) for rows, _ in self._run(values, self.rounds)])

    def halved(self, values: np.ndarray, factor: int) -> np.ndarray:
        """The scores by successive halving, f64[V]. A value that is given up keeps the score that it had.

        Args:
          values: f64[V].
          factor: by which each part reduces the number of values.
        """
        parts = int(np.floor(np.log(len(values)) / np.log(factor) + 1e-9))
        scores, left = np.full(len(values), np.inf), np.arange(len(values))
        found: list[tuple[list, RunState | None]] = [([], None)] * len(values)
        for part in range(parts, -1, -1):
            until = max(1, self.rounds // factor**part)
            further = self._run(values[left], until, [found[index] for index in left])
            for index, one in zip(left, further, strict=True):
                found[index], scores[index] = one, self._score(one[0])
            best = left[np.argsort(scores[left], kind="stable")]
            left = np.sort(best[: max(1, len(left) // factor)])
        return scores

    def _run(
        self, values: np.ndarray, until: int, before: Sequence[tuple[list, RunState | None]] | None = None
    ) -> list[tuple[list, RunState]]:
        """The rows and the state of a run of each value after `until` rounds."""
        algorithm = self.simulation.algorithm
        with_value = lambda value: algorithm.replace(**{self.field: jnp.asarray(value, jnp.result_type(float))})
        every = [self.simulation.replace(algorithm=with_value(value)) for value in values]
        whole = driven(every, self.params, most=self.at_once)
        found: list[tuple[list, RunState]] = []
        pace = Pace(until, min(self.eval_every, until))
        for part in whole.parts:  # one after the other, so that no more states are held than of one part
            some = [] if before is None else before[len(found) : len(found) + part.count]
            state = (part.state_of([state for _, state in some]),) if some and some[0][1] is not None else None
            driver = Driver(_From((part,), tuple(range(part.count)), state), pace, Stop(), Bar(until, False, ""))
            driver.drive()
            states = driver.driven.states(driver.at.state)
            for index, one in enumerate(states):
                had = some[index][0] if some else []
                last = had[-1]["round"] if had else -1
                new = [row for row in driver.rows if row["round"] > last]  # the state gone on from is evaluated again
                found.append((had + [{name: _of(value, index) for name, value in row.items()} for row in new], one))
        return [found[place] for place in whole.places]

    def _score(self, rows: list[dict[str, Any]]) -> float:
        """The score of a run: of its last row, or of its whole history."""
        history = {name: np.array([row[name] for row in rows]) for name in rows[0] if name != "seconds"}
        value = float(self.score(history)) if callable(self.score) else float(history[self.score][-1])
        value = -value if isinstance(self.score, str) and self.score.endswith("accuracy") else value
        return np.inf if np.isnan(value) else value


def _of(value: Any, index: int) -> Any:
    return value[index] if np.ndim(value) else value
