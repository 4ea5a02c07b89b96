"""Ready-made metrics of each model on a test set of classes: balanced accuracy, calibration, confusion."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl import checks
from jdl.engine.metrics.scored import at_each_model, require_test_set
from jdl.types import PyTree

__all__ = ["balanced_accuracy", "calibration", "calibration_error", "confusion"]


def balanced_accuracy(models: PyTree, state: Any, simulation: Any) -> jax.Array:
    """The mean recall over the classes that occur in the test set, as scikit-learn's `balanced_accuracy_score`.

    Args:
      models: the models, stacked `[n, ...]`, or a server's one model, `[1, ...]`.
      state: the state of the run, which is not read.
      simulation: what is simulated; its problem offers "test_set".

    Returns:
      f[n], or f[] of one model that serves all nodes.
    """
    problem = simulation.problem
    require_test_set(problem, "balanced_accuracy")

    def hits(scores, labels):
        of_class = jax.nn.one_hot(labels, problem.classes, dtype=scores.dtype)
        right = (jnp.argmax(scores, axis=-1) == labels).astype(scores.dtype)
        precise = jax.lax.Precision.HIGHEST
        return jnp.matmul(right, of_class, precision=precise), jnp.sum(of_class, axis=0)

    right, count = at_each_model(models, simulation, hits)
    recalls = jnp.where(count > 0, right / jnp.maximum(count, 1), 0)
    return _number(jnp.sum(recalls, axis=1) / jnp.sum(count > 0, axis=1).astype(recalls.dtype))


@functools.cache
def calibration(bins: int = 15) -> Callable[..., jax.Array]:
    """Make the metric "expected calibration error" with some number of bins.

    The confidence of a prediction is the largest softmax probability. Confidences fall into bins of equal width, of
    which each includes its right edge, as in scikit-learn's `calibration_curve`. The error is
    `sum_b (T_b / T) |accuracy_b - confidence_b|` over the bins b of T_b examples.

    Args:
      bins: the number of bins.

    Returns:
      The metric, a function (models, state, simulation) -> f[n], or f[] of one model that serves all nodes.

    Raises:
      InputError: if `bins` is no positive whole number.

    References:
      Guo, Pleiss, Sun, Weinberger 2017, On Calibration of Modern Neural Networks, equation 3.

    >>> metrics = {"calibration_error": calibration(bins=10)}
    """
    bins = checks.whole("bins", bins, 1)

    def calibration_error(models, state, simulation):
        require_test_set(simulation.problem, "calibration_error")
        edges = jnp.linspace(0, 1, bins + 1)[1:-1]

        def excess(scores, labels):
            probabilities = jax.nn.softmax(scores, axis=-1)
            confidence = jnp.max(probabilities, axis=-1)
            right = (jnp.argmax(scores, axis=-1) == labels).astype(scores.dtype)
            bin_of = jnp.sum(confidence[:, None] > edges[None], axis=1)
            in_bin = jax.nn.one_hot(bin_of, bins, dtype=scores.dtype)
            precise = jax.lax.Precision.HIGHEST  # a GPU may otherwise round confidences to ten bits
            return jnp.matmul(right - confidence, in_bin, precision=precise)

        apart = at_each_model(models, simulation, excess)
        return _number(jnp.sum(jnp.abs(apart), axis=1) / simulation.problem.test_set[1].size)

    return calibration_error


def calibration_error(models: PyTree, state: Any, simulation: Any) -> jax.Array:
    """The expected calibration error with 15 bins of equal width; see `calibration` for another number of bins.

    Args:
      models: the models, stacked `[n, ...]`, or a server's one model, `[1, ...]`.
      state: the state of the run, which is not read.
      simulation: what is simulated; its problem offers "test_set".

    Returns:
      f[n], or f[] of one model that serves all nodes.
    """
    return calibration()(models, state, simulation)


def confusion(models: PyTree, simulation: Any) -> jax.Array:
    """The confusion matrix of each model on the test set, as scikit-learn's `confusion_matrix`.

    It is no metric, since it is no number. Call it after a run, `jdl.metrics.confusion(result.models,
    result.simulation)`; for the mean model give it an axis of one row.

    Args:
      models: the models, stacked `[k, ...]`.
      simulation: what is simulated; its problem offers "test_set".

    Returns:
      i32[k, C, C], the number of examples of each class (a row) for which each class (a column) was predicted.
    """
    problem = simulation.problem
    require_test_set(problem, "confusion")
    classes = problem.classes

    def pairs(scores, labels):
        predicted = jnp.argmax(scores, axis=-1).astype(jnp.int32)
        return jnp.zeros(classes**2, jnp.int32).at[labels * classes + predicted].add(1)

    return at_each_model(models, simulation, pairs).reshape(-1, classes, classes)


def _number(values: jax.Array) -> jax.Array:
    """The numbers of all models; of one model that serves all nodes, a single number."""
    return values[0] if values.shape[0] == 1 else values
