"""Tune the rate of a method: try a grid of rates in one compiled program, then a finer grid around the best."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jdl import checks
from jdl.engine.planned import check_planned
from jdl.engine.sim import simulate
from jdl.engine.state import Simulation
from jdl.runs.trials import Score, Trials
from jdl.types import PyTree

__all__ = ["RATES", "Tuned", "rounds_until", "tune"]

# From a rate at which models hardly move to one at which nearly every run diverges; two values in each factor of 2.
RATES = tuple(float(rate) for rate in np.geomspace(2**-9, 2**2, 23))


class Tuned(NamedTuple):
    """The result of `jdl.tune`.

    Args:
      value: the best value.
      score: its score.
      values: float[V], all values that were tried, in increasing order.
      scores: float[V], their scores; a run that diverged has an infinite score.
    """

    value: float
    score: float
    values: np.ndarray
    scores: np.ndarray

    def __repr__(self) -> str:
        span = f"of {len(self.values)} values from {self.values[0]:.3g} to {self.values[-1]:.3g}"
        diverged = int(np.sum(~np.isfinite(self.scores)))
        return f"Tuned(value={self.value:.4g}, score={self.score:.4g}, {span}, {diverged} without a finite score)"


def tune(
    simulation: Simulation,
    rounds: int,
    *,
    score: Score = "mean_loss",
    values: Sequence[float] = RATES,
    field: str = "lr",
    refinements: int = 0,
    eval_every: int | None = None,
    params: PyTree | None = None,
    at_once: int = 8,
    halving: int | None = None,
) -> Tuned:
    """Find the value of one number of the algorithm, by default its rate, that gives the lowest score.

    The values share one program, and run as several seeds of a run do. Each refinement tries the same number of values
    again, evenly spaced in their logarithm, between the two neighbours of the best value. If several values have the
    lowest score, up to rounding, the smallest of them is the best.

    Successive halving (Jamieson and Talwalkar 2016) runs all values for a part of the rounds, and only the best of them
    for more: with `halving=3` and 27 values, all run for a 27th of the rounds, the best nine for a ninth, the best
    three for a third, and the best one for all. A value that is given up keeps the score that it had.

    Args:
      simulation: from `jdl.simulation(...)`.
      rounds: the number of rounds for each value.
      score: a column of the history (`jdl.metrics.COLUMNS`), whose last entry is the score (its negative for an
        accuracy); or a function from the history, a dict of arrays `[E]`, to one number, see `jdl.rounds_until`.
      values: the values to try: at least one, all positive.
      field: the name of the number.
      refinements: the number of refinements.
      eval_every: the number of rounds between evaluations; by default only the start and the end are evaluated.
      params: the initial models, see `jdl.sim.init`.
      at_once: the largest number of runs side by side, and, without halving, in memory at once.
      halving: the factor by which each part of successive halving reduces the values, at least 2; None runs all values
        to the end.

    Returns:
      The best value, its score, and all values with their scores.

    Raises:
      InputError: if the algorithm has no such number, if the score is not a column, or if every value diverged.

    >>> import jdl
    >>> problem = jdl.problems.quadratic(nodes=4, dim=3, condition=1.0)  # curvature 1: a step of rate 1 is best
    >>> simulation = jdl.simulation(problem, jdl.algorithms.DPSGD(), jdl.topology.complete(4))
    >>> round(jdl.tune(simulation, rounds=1, values=[0.1, 0.3, 1.0, 1.9]).value, 3)
    1.0
    """
    name = type(simulation.algorithm).__name__
    _known_field(simulation.algorithm, field)
    check_planned(simulation.schedule, checks.whole("rounds", rounds, 1))
    checks.whole("refinements", refinements, 0)
    checks.whole("at_once", at_once, 1)
    if halving is not None:
        checks.whole("halving", halving, 2)
    eval_every = rounds if eval_every is None else checks.whole("eval_every", eval_every, 1)
    try:
        grid = np.sort(np.asarray(values, float), axis=None)
    except (TypeError, ValueError):
        grid = np.zeros(0)
    need = f"got values={values!r}, need a list of at least one number, all finite and above 0; leave it out"
    good = np.ndim(values) == 1 and grid.size > 0 and bool(np.all((grid > 0) & np.isfinite(grid)))
    checks.require(good, need)
    _known_score(simulation, score, rounds, eval_every, params)
    tried, scores = np.zeros(0), np.zeros(0)
    trials = Trials(simulation, field, rounds, eval_every, score, params, at_once)
    scale = _scale(simulation, score)
    for _ in range(refinements + 1):
        new = trials.scores(grid) if halving is None else trials.halved(grid, halving)
        tried, scores = np.concatenate([tried, grid]), np.concatenate([scores, new])
        order = np.argsort(tried, kind="stable")
        tried, scores = tried[order], scores[order]
        best = _best(scores, scale)
        if not np.isfinite(scores[best]):
            break
        low, high = tried[max(best - 1, 0)], tried[min(best + 1, len(tried) - 1)]
        grid = np.geomspace(low, high, grid.size + 2)[1:-1]
    span = f"got values of {name}.{field} from {tried[0]:g} to {tried[-1]:g}"
    missed = f"{span}, none of which gives a finite score in {rounds} rounds; try more rounds, or another target"
    do = missed if callable(score) else f"{span}, all diverge; try smaller"
    checks.require(bool(np.isfinite(scores[best])), do)
    return Tuned(float(tried[best]), float(scores[best]), tried, scores)


# Losses in float32 that differ by at most this factor, four units in the last place, differ by rounding only.
ROUNDING = 4 * float(np.finfo(np.float32).eps)


def _best(scores: np.ndarray, scale: float) -> int:
    """The first index whose score is lowest up to rounding. Scores are differences of numbers of the size `scale`."""
    low = np.min(scores)
    if not np.isfinite(low):
        return 0
    return int(np.argmax(scores <= low + ROUNDING * max(abs(low), scale)))


def _scale(simulation: Simulation, score: Score) -> float:
    """The size of the numbers whose difference a score is: suboptimality is the loss minus that of the optimum."""
    optimum = simulation.problem.optimum if score == "suboptimality" else None
    return 0.0 if optimum is None else abs(float(optimum.loss))


def _known_field(algorithm: Any, field: str) -> None:
    name = type(algorithm).__name__
    fields = {one.name: one for one in dataclasses.fields(algorithm)}
    is_leaf = lambda one: one.metadata.get("pytree_node", True)
    known = [key for key, one in fields.items() if is_leaf(one) and np.shape(getattr(algorithm, key)) == ()]
    known = [key for key in known if not dataclasses.is_dataclass(getattr(algorithm, key))]
    static = field in fields and not is_leaf(fields[field])
    need = f"got field={field!r}, which is part of {name}'s program, need a number of it: {', '.join(known)}"
    checks.require(not static, f"{need}; compare such values run by run")
    checks.known(f"number of {name}", field, known)


def _known_score(simulation: Simulation, score: Score, rounds: int, eval_every: int, params: PyTree) -> None:
    """Check that the score is a column of the history, or a function from the history to one number.

    Raises:
      InputError: if it is neither; the sentence lists the columns.
    """
    history = jax.eval_shape(lambda s: simulate(s, rounds, eval_every, params)[1], simulation)
    if not callable(score):
        need = f"got score={score!r}, need a column of the history, or a function of it; leave it out"
        checks.require(isinstance(score, str), need)
        checks.known("column of the history", score, history)
        return
    try:
        found = jax.eval_shape(score, history)
    except KeyError as error:
        checks.known("column of the history", str(error.args[0]), history)
        raise
    shape = getattr(found, "shape", None)
    checks.require(shape == (), f"got a score that returns {found}, need one number, f[]; try history[column][-1]")


def rounds_until(column: str, target: float) -> Callable[[dict[str, jax.Array]], jax.Array]:
    """A score for `jdl.tune`: the first round in which a column of the history is below a target.

    Evaluate every round (`eval_every=1`) to find the exact round.

    Args:
      column: the name of the column.
      target: the value to reach.

    Returns:
      The score, which is infinite if the target is not reached.
    """
    target = float(target)

    def score(history: dict[str, Any]) -> jax.Array:
        reached = jnp.asarray(history[column]) < target
        first = jnp.asarray(history["round"])[jnp.argmax(reached)].astype(jnp.result_type(float))
        return jnp.where(jnp.any(reached), first, jnp.inf)

    return score
