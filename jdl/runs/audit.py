"""An attack on privacy, as a measurement: who was in the data, told by the loss of a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl import checks, privacy
from jdl.types import Problem, PyTree

__all__ = ["Attacked", "by_degree", "losses_of", "membership", "outside_of", "scored", "threshold"]

LOW = (0.001, 0.01)  # false-positive rates at which attacks are compared


@dataclasses.dataclass(frozen=True)
class Attacked:
    """How well an attack tells members from strangers, for each victim and each model that is looked at.

    Args:
      auc: f[n, m], the areas under the ROC curves of victims i and models j; NaN for a node without examples.
      at_per_mille: f[n, m], the true-positive rates at a false-positive rate of at most 0.1 %. Of fewer than a thousand
        strangers none may be taken for a member.
      at_percent: f[n, m], the same at 1 %.
      scores: the scores of the members and of the strangers, of a victim i and a model j.
    """

    auc: np.ndarray
    at_per_mille: np.ndarray
    at_percent: np.ndarray
    scores: Callable[[int, int], tuple[np.ndarray, np.ndarray]] = dataclasses.field(repr=False, compare=False)

    def roc(self, victim: int, model: int) -> tuple[np.ndarray, np.ndarray]:
        """The false-positive and the true-positive rates of the attack on a victim by a model, see `privacy.roc`."""
        return privacy.roc(*self.scores(victim, model))


def scored(shape: tuple[int, int], pair: Callable[[int, int], tuple[np.ndarray, np.ndarray]]) -> Attacked:
    """The numbers of an attack from its scores.

    Args:
      shape: the numbers of victims and of models.
      pair: the scores of the members and of the strangers, of a victim i and a model j.
    """
    found = np.full((3, *shape), np.nan)
    for i, j in np.ndindex(shape):
        members, strangers = pair(i, j)
        if len(members) and len(strangers):
            false, true = privacy.roc(members, strangers)
            found[:, i, j] = np.trapezoid(true, false), *(true[false <= low].max() for low in LOW)
    return Attacked(*found, pair)


def membership(models: PyTree, problem: Problem, outside: Problem | None = None) -> np.ndarray:
    """The areas of `threshold`, f[n, m], of victims i and models j.

    Args:
      models: as in `threshold`.
      problem: as in `threshold`.
      outside: as in `threshold`.

    Raises:
      InputError: as in `threshold`.
    """
    return threshold(models, problem, outside).auc


def threshold(models: PyTree, problem: Problem, outside: Problem | None = None) -> Attacked:
    """Membership inference by the loss: how well node j's model tells the examples of node i from others.

    An example counts as a member where its loss is small. The score of the attack is the area under its ROC curve: 1/2
    is guessing, and `jdl.privacy.auc_bound` says what a budget allows.

    Args:
      models: stacked models `[m, ...]`, as `Result.models`: of all nodes, or the one of a server.
      problem: the data that models were trained on; it offers "losses".
      outside: a problem whose node 0 has examples that nobody trained on; None: the test set, where there is one.

    Raises:
      InputError: if the problem has no losses of single examples, or there is nothing to compare with.

    References:
      Yeom, Giacomelli, Fredrikson, Jha 2018, Privacy Risk in Machine Learning, section 3.2 (the threshold on the loss).
    """
    inside, real = losses_of(models, problem)
    outside = outside_of(problem) if outside is None else outside
    others, there = losses_of(models, outside, np.zeros(1, np.int32))
    return scored((problem.n, len(inside)), lambda i, j: (-inside[j, i, real[i]], -others[j][there]))


def by_degree(auc: np.ndarray, W: Any) -> dict[int, float]:
    """The mean over other models of the areas of `membership`, averaged over victims of each degree.

    Args:
      auc: f[n, n].
      W: [n, n], the graph: what is not zero off the diagonal.

    >>> by_degree(np.array([[np.nan, 0.6], [0.8, np.nan]]), np.ones((2, 2)))
    {1: 0.7}
    """
    links = np.asarray(W.toarray() if hasattr(W, "toarray") else W) != 0
    checks.require(auc.shape == links.shape, f"got areas {auc.shape} and a graph {links.shape}, need [n, n] of both")
    degree = np.sum(links & ~np.eye(len(links), dtype=bool), axis=1)
    others = np.where(np.eye(len(auc), dtype=bool), np.nan, auc)
    mean = np.nanmean(others, axis=1)
    return {int(one): float(np.mean(mean[degree == one])) for one in np.unique(degree)}


def outside_of(problem: Problem) -> Problem:
    """The problem of one node that has the test set.

    Raises:
      InputError: if there is no test set of examples like those of the nodes.
    """
    has = all(hasattr(problem, name) for name in ("test_x", "test_y", "train_x", "indices"))
    got = f"got the problem {type(problem).__name__}, which has no test set like its examples"
    checks.require(has, f"{got}, need examples that nobody trained on; give outside=")
    count = len(problem.test_y)
    rows, total = jnp.arange(count, dtype=jnp.int32)[None], jnp.asarray([count], jnp.int32)
    return problem.replace(
        train_x=problem.test_x, train_y=problem.test_y, indices=rows, num_examples=total, batch_size=0
    )


def losses_of(models: PyTree, problem: Problem, ids: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The losses of all examples of some nodes, f[models, nodes, width], and which of them are examples.

    Args:
      models: stacked models `[m, ...]`.
      problem: the problem.
      ids: the nodes; None for all.

    Raises:
      InputError: if the problem has no losses of single examples.
    """
    single = hasattr(problem, "alone") and hasattr(problem, "full_batch")
    got = f"got the problem {type(problem).__name__}, which has no single examples"
    checks.require(single, f"{got}, need one that offers 'losses'; see jdl.problems.offers")
    ids = jnp.asarray(np.arange(problem.n) if ids is None else ids, jnp.int32)

    @jax.jit
    def of(models: PyTree, problem: Problem) -> tuple[jax.Array, jax.Array]:
        def at(model: PyTree, id: jax.Array) -> tuple[jax.Array, jax.Array]:
            single, real = problem.alone(problem.full_batch(id))
            return jax.vmap(lambda one: problem.loss(model, one)[0])(single), real

        return jax.lax.map(lambda model: jax.lax.map(lambda id: at(model, id), ids), models)

    losses, real = of(models, problem)
    return np.asarray(losses), np.asarray(real[0])
