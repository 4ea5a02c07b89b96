"""Metrics: pure functions of the models and the problem, computed in the compiled loop at evaluation rounds only."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jdl import tree
from jdl.engine.cost import cost_of
from jdl.engine.placement import divided
from jdl.types import Problem, PyTree

__all__ = ["COLUMNS", "consensus_distance", "measure", "models_at_once"]

# The order in which tables show them. `jit` returns a dictionary in the order of its keys.
OF = ("mean_model", "mean", "std", "worst", "best")
COLUMNS = (*(f"{of}_{what}" for what in ("loss", "accuracy") for of in OF), "consensus_distance", "suboptimality")

# Evaluating all n models at once would hold n times the activations of the test set. At most this much is held.
EVALUATION_BYTES = 64 * 1024**2


def consensus_distance(models: PyTree) -> jax.Array:
    """(1/n) sum_i ||x_i - xbar||^2 for stacked models `[n, ...]`.

    >>> import jax.numpy as jnp
    >>> float(consensus_distance(jnp.array([[0.0, 0.0], [2.0, 0.0]])))
    1.0
    """
    # Measured from the first node: identical models are at distance zero exactly, whatever the rounding of a mean.
    apart = jax.tree.map(lambda x: x - x[:1], models)
    centred = jax.tree.map(lambda x: x - jnp.mean(x, axis=0, keepdims=True), apart)
    return tree.norm_squared(centred) / jax.tree.leaves(models)[0].shape[0]


def models_at_once(problem: Problem, models: PyTree) -> int:
    """The number of models to evaluate at a time, from the size of the intermediate values of one evaluation."""
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), models)
    n = jax.tree.leaves(models)[0].shape[0]
    return max(1, min(n, EVALUATION_BYTES // max(1, cost_of(problem.evaluate, one).held_bytes)))


def measure(models: PyTree, problem: Problem, mesh: Mesh | None = None) -> dict[str, jax.Array]:
    """The metrics of the mean model, and the mean, standard deviation, worst and best over nodes.

    Args:
      models: the models of all nodes, stacked `[n, ...]`.
      problem: evaluates one model.
      mesh: the devices that evaluate a part of the models each, or None.

    Returns:
      A dict of f[]: `mean_model_loss`, `mean_loss`, `std_loss`, `worst_loss`, `best_loss`; the same with `accuracy` if
      the problem has one; `consensus_distance`; and `suboptimality` = f(mean model) - f* if the optimum is known.
    """
    at_mean = problem.evaluate(tree.mean_rows(models))
    size = models_at_once(problem, models)
    of_each = lambda problem, models: jax.lax.map(problem.evaluate, models, batch_size=size)
    per_node = divided(of_each, mesh)(problem, models)
    row = {}
    for name, values in per_node.items():
        low, high = jnp.min(values), jnp.max(values)
        worst, best = (high, low) if name == "loss" else (low, high)
        row[f"mean_model_{name}"] = at_mean[name]
        row[f"mean_{name}"], row[f"std_{name}"] = jnp.mean(values), jnp.std(values)
        row[f"worst_{name}"], row[f"best_{name}"] = worst, best
    row["consensus_distance"] = consensus_distance(models)
    if problem.optimum is not None:
        row["suboptimality"] = at_mean["loss"] - problem.optimum.loss
    return row
