"""Passes over the examples of a test set of classes, a part of them at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jdl import checks
from jdl.engine.metrics.built_in import equal_parts, models_at_once
from jdl.engine.placement import divided
from jdl.types import Problem, PyTree

__all__ = ["at_each_model", "over_test_set", "require_test_set", "scores"]

# The number of examples whose outputs are held at a time.
EXAMPLES = 1000


def require_test_set(problem: Problem, what: str) -> None:
    """Check that a problem has a test set of classes.

    Args:
      problem: any problem.
      what: the name of the metric, for the sentence.

    Raises:
      InputError: if the problem does not offer "test_set".
    """
    offers = "test_set" in getattr(problem, "offers", ())
    got = f"got the metric {what} and the problem {type(problem).__name__}, which has no test set of classes"
    need = "need one that offers 'test_set'; leave the metric out, or see jdl.problems.offers"
    checks.require(offers, f"{got}, {need}")


def over_test_set(problem: Problem, function: Callable[[PyTree, jax.Array], PyTree]) -> PyTree:
    """The sum of a function of examples over the parts of the test set.

    Args:
      problem: offers "test_set".
      function: takes inputs `[B, ...]` and their classes i32[B, ...], and gives arrays whose shapes do not depend on B.
    """
    inputs, labels = problem.test_set
    total = labels.shape[0]
    size = equal_parts(total, EXAMPLES)
    whole = total // size * size
    folded = jax.tree.map(lambda x: x[:whole].reshape(-1, size, *x.shape[1:]), (inputs, labels))
    sums = jax.lax.map(lambda part: function(*part), folded) if whole > size else None
    found = [jax.tree.map(lambda x: jnp.sum(x, axis=0, dtype=x.dtype), sums)] if sums is not None else []
    if sums is None:
        found.append(function(*jax.tree.map(lambda x: x[0], folded)))
    if whole < total:
        found.append(function(*jax.tree.map(lambda x: x[whole:], (inputs, labels))))
    return jax.tree.map(lambda *parts: sum(parts[1:], start=parts[0]), *found)


def scores(problem: Problem, model: PyTree, inputs: PyTree) -> jax.Array:
    """The scores of the classes, f[B * ..., C], in float32 at least. For tokens, each is an example of its own."""
    outputs = problem.predict(model, inputs)
    outputs = outputs["logits"] if isinstance(outputs, Mapping) else outputs
    wide = outputs if jnp.finfo(outputs.dtype).bits >= 32 else outputs.astype(jnp.float32)
    return wide.reshape(-1, wide.shape[-1])


def at_each_model(
    models: PyTree,
    simulation: Any,
    function: Callable[[jax.Array, jax.Array], PyTree],
    shown: Callable[[PyTree], PyTree] = lambda inputs: inputs,
) -> PyTree:
    """The sum of a function of scores f[B, C] and classes i32[B] over the test set, for each model, `[n, ...]`.

    As many models are evaluated at a time as `models_at_once` says.

    Args:
      models: the models, stacked `[n, ...]`.
      simulation: what is simulated; its problem offers "test_set".
      function: gives arrays whose shapes do not depend on B.
      shown: what models are shown of inputs, leaves [B, ...]; by default the inputs as they are.
    """
    problem = simulation.problem
    size = models_at_once(problem, models)

    def of_one(problem, model):
        return over_test_set(problem, lambda x, y: function(scores(problem, model, shown(x)), y.reshape(-1)))

    of_each = lambda problem, models: jax.lax.map(lambda model: of_one(problem, model), models, batch_size=size)
    return divided(of_each, simulation.placement.mesh)(problem, models)
