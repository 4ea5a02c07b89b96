"""The exact mean and covariance of a simulation, round by round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from jdl import checks
from jdl.engine import sim as simulator
from jdl.engine.sim import Simulation
from jdl.engine.state import a_simulation
from jdl.theory.linear.columns import quadratic_columns
from jdl.theory.linear.law import Law
from jdl.theory.linear.parts import alike_but_for_seeds, mixture
from jdl.theory.linear.rounds import LinearRounds, linear_rounds
from jdl.theory.linear.traced import first_models, in_double
from jdl.types import PyTree

__all__ = ["Prediction", "predict"]


class Prediction(NamedTuple):
    """What theory predicts of a simulation, over all draws of its randomness.

    Attributes:
      rounds: i32[E], the rounds.
      mean: f[E, P], the mean of the models of all nodes, flattened node by node (one model where there is a server).
      covariance: f[E, P, P], the covariance of these P numbers.
      columns: the mean f[E] of each column of a history that is quadratic in the models, by name.
      deviations: the standard deviation f[E] of each of these columns, exact for rounds that are random by Gaussian
        gradient noise alone, and otherwise that of normally distributed models of this mean and covariance.
      seeds: the number of simulations over which these are means.
    """

    rounds: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    columns: dict[str, np.ndarray]
    deviations: dict[str, np.ndarray]
    seeds: int

    def band(self, column: str, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """The interval that holds the mean over seeds of a column with a given probability: its two ends, f[E] each.

        The mean over seeds is taken as normally distributed.

        Args:
          column: its name.
          level: the probability, between 0 and 1.

        Raises:
          InputError: if the column is not predicted.
        """
        from scipy.stats import norm

        checks.require(0 < level < 1, f"got level={level!r}, need a probability between 0 and 1; try 0.95")
        checks.known("column", column, self.columns)
        reach = norm.ppf((1 + level) / 2) * self.deviations[column] / np.sqrt(self.seeds)
        return self.columns[column] - reach, self.columns[column] + reach


def predict(
    simulation: Simulation | Sequence[Simulation],
    rounds: int | Sequence[int],
    eval_every: int = 1,
    params: PyTree | None = None,
    samples: int = 512,
) -> Prediction:
    """The exact mean and covariance of the models of a linear method on a quadratic problem, in each round.

    jdl derives the prediction itself. It differentiates the compiled round with respect to all that nodes, the server
    and exchanges hold, which gives `x <- A x + b + e`, and checks far from that point that the round is affine. Then
        mean <- E[A] mean + E[b],   C <- E[A C A'] + Cov(A mean + b) + Cov(e).
    The covariance of Gaussian gradient noise is exact. Random graphs, coins, lost messages and minibatches of examples
    are replaced by `samples` draws, so that the prediction then has the error of a mean over that many draws.

    Args:
      simulation: the simulation, see `jdl.simulation`; or one of each seed, for the prediction of a mean over seeds,
        each of which starts at a model of its own, and may have a graph or data of its own.
      rounds: the number of rounds, or those after which a prediction is wanted, such as `history["round"]`.
      eval_every: the number of rounds between predictions, where `rounds` is a number.
      params: the start, see `jdl.sim.init`; by default the model that each seed draws.
      samples: how many draws stand for a random round.

    Returns:
      The prediction.

    Raises:
      InputError: if a round is not affine (medians, top-k, Adam); the sentence names the part. Also if rounds are not
        independent draws, and if the state has more than 2,000 numbers.

    >>> import jdl
    >>> problem = jdl.problems.quadratic(4, 2, noise=0.1)
    >>> simulation = jdl.simulation(problem, jdl.algorithms.DPSGD(lr=0.1), jdl.topology.ring(4))
    >>> predict(simulation, rounds=3).mean.shape
    (4, 8)
    """
    if np.ndim(rounds) == 0:
        last = checks.whole("rounds", rounds, 0)
        marks = sorted({*range(0, last, checks.whole("eval_every", eval_every, 1)), last})
    else:
        marks = sorted({checks.whole("rounds", int(mark), 0) for mark in rounds})
        checks.require(len(marks) > 0, "got no rounds, need one at least; try rounds=100")
    several = [*map(a_simulation, simulation if isinstance(simulation, Sequence) else [simulation])]
    checks.require(len(several) > 0, "got no simulation, need at least one; see jdl.simulation")
    parts = []
    for alike in alike_but_for_seeds(several):
        linear = linear_rounds(alike[0], marks[-1], samples)
        starts = [linear.start(params)] if params is not None else [linear.start(first_models(one)) for one in alike]
        parts.append(moments(linear, np.stack(starts), marks, len(alike)))
    return over_all(parts)


def over_all(parts: Sequence[Prediction]) -> Prediction:
    """The prediction of the mean over all seeds of some predictions."""
    seeds = np.array([part.seeds for part in parts])
    weights = seeds / seeds.sum()
    mean, covariance = mixture(weights, *(np.stack([part[i] for part in parts]) for i in (1, 2)))
    names = [name for name in parts[0].columns if all(name in part.columns for part in parts)]
    over = lambda rows: np.tensordot(weights, np.stack(rows), 1)
    expected = {name: over([part.columns[name] for part in parts]) for name in names}
    # `band` divides by the root of the number of seeds. Which parts a seed has is known, and adds no variance.
    deviations = {name: np.sqrt(over([part.deviations[name] ** 2 for part in parts])) for name in names}
    return Prediction(parts[0].rounds, mean, covariance, expected, deviations, int(seeds.sum()))


def moments(linear: LinearRounds, starts: np.ndarray, marks: Sequence[int], seeds: int) -> Prediction:
    """The prediction of runs from some starts, f[S, D].

    Args:
      linear: the rounds.
      starts: f[S, D], the vectors before the first round, equally probable.
      marks: the rounds after which there is a prediction, in increasing order.
      seeds: the number of runs whose mean is predicted.
    """
    with in_double():
        shapes = jax.eval_shape(lambda s: simulator.models(s, simulator.init(s)), linear.simulation)
        columns = quadratic_columns(linear.simulation, shapes)
    rows = {"mean": [], "covariance": [], "expected": [], "variance": []}
    means = starts
    # Without random matrices the covariance is the same from all starts.
    covariances = np.zeros((len(starts) if linear.random else 1, starts.shape[1], starts.shape[1]))
    for t in range(marks[-1] + 1):
        law = linear.law(t)
        if t in marks:
            of_models = means @ law.M.T + law.c
            spread = np.broadcast_to(law.M @ covariances @ law.M.T, (len(means), len(law.c), len(law.c)))
            pairs = [columns.moments(mean, C) for mean, C in zip(of_models, spread, strict=True)]
            expected, variance = (np.mean(part, axis=0) for part in zip(*pairs, strict=True))
            apart = of_models - of_models.mean(axis=0)
            rows["mean"].append(of_models.mean(axis=0))
            rows["covariance"].append(spread.mean(axis=0) + apart.T @ apart / len(apart))
            rows["expected"].append(expected)
            rows["variance"].append(variance)
        if t < marks[-1]:
            covariances = np.stack([after_round(law, *pair) for pair in zip(means, covariances, strict=False)])
            means = means @ law.mean_A.T + law.mean_b
    arrays = {name: np.asarray(values) for name, values in rows.items()}
    by_name = lambda table: dict(zip(columns.names, table.T, strict=True))
    expected, deviations = by_name(arrays["expected"]), by_name(np.sqrt(arrays["variance"]))
    return Prediction(np.asarray(marks), arrays["mean"], arrays["covariance"], expected, deviations, seeds)


def after_round(law: Law, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """The covariance after a round: E[A C A'] + Cov(A mean + b) + Q."""
    jumps = law.A @ mean + law.b
    jumps = jumps - law.weights @ jumps
    return law.mixed(covariance) + (law.weights * jumps.T) @ jumps + law.Q
