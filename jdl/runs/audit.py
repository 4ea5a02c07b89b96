"""An attack on privacy, as a measurement: who was in the data, told by the loss of a model."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl import checks
from jdl.types import Problem, PyTree

__all__ = ["by_degree", "membership", "outside_of"]


def membership(models: PyTree, problem: Problem, outside: Problem | None = None) -> np.ndarray:
    """Membership inference by the loss: how well node j's model tells the examples of node i from others.

    An example counts as a member where its loss is small. The score of the attack is the area under its ROC curve: 1/2
    is guessing, and `jdl.privacy.auc_bound` says what a budget allows.

    Args:
      models: stacked models `[m, ...]`, as `Result.models`: of all nodes, or the one of a server.
      problem: the data that models were trained on; it offers "losses".
      outside: a problem whose node 0 has examples that nobody trained on; None: the test set, where there is one.

    Returns:
      The areas f[n, m], of victims i and models j; NaN for a node without examples.

    Raises:
      InputError: if the problem has no losses of single examples, or there is nothing to compare with.

    References:
      Yeom, Giacomelli, Fredrikson, Jha 2018, Privacy Risk in Machine Learning, section 3.2 (the threshold on the loss).
    """
    from sklearn.metrics import roc_auc_score

    single = hasattr(problem, "alone") and hasattr(problem, "full_batch")
    got = f"got the problem {type(problem).__name__}, which has no single examples"
    checks.require(single, f"{got}, need one that offers 'losses'; see jdl.problems.offers")
    outside = outside_of(problem) if outside is None else outside
    inside, real = _losses(models, problem, jnp.arange(problem.n, dtype=jnp.int32))
    others, there = _losses(models, outside, jnp.zeros(1, jnp.int32))
    auc = np.full((problem.n, len(inside)), np.nan)
    for j, (own, other) in enumerate(zip(inside, others, strict=True)):
        strangers = other[there]
        for i in np.flatnonzero(real.any(axis=1)):
            losses = np.concatenate([own[i][real[i]], strangers])
            labels = np.arange(len(losses)) < real[i].sum()
            # An infinite loss is the surest sign of a stranger, and roc_auc_score takes finite scores only.
            auc[i, j] = roc_auc_score(labels, -np.nan_to_num(losses, nan=np.finfo(losses.dtype).max))
    return auc


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


def _losses(models: PyTree, problem: Problem, ids: jax.Array) -> tuple[np.ndarray, np.ndarray]:
    """The losses of all examples of some nodes, f[models, nodes, width], and which of them are examples."""

    @jax.jit
    def of(models: PyTree, problem: Problem) -> tuple[jax.Array, jax.Array]:
        def at(model: PyTree, id: jax.Array) -> tuple[jax.Array, jax.Array]:
            single, real = problem.alone(problem.full_batch(id))
            return jax.vmap(lambda one: problem.loss(model, one)[0])(single), real

        return jax.lax.map(lambda model: jax.lax.map(lambda id: at(model, id), ids), models)

    losses, real = of(models, problem)
    return np.asarray(losses), np.asarray(real[0])
