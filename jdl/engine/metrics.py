"""Pure scalars of (models, problem), computed in the compiled loop at evaluation rounds only."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jdl import tree
from jdl.engine.cost import cost_of
from jdl.engine.placement import divided
from jdl.types import Problem, PyTree

__all__ = ["COLUMNS", "consensus_distance", "measure", "models_at_once"]

# The order in which people read them; `jit` returns a dictionary by its keys.
OF = ("mean_model", "mean", "std", "worst", "best")
COLUMNS = (*(f"{of}_{what}" for what in ("loss", "accuracy") for of in OF), "consensus_distance", "suboptimality")

# Evaluating all n models at once would hold n times the activations of the test set. This much is held instead.
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
    """How many of the stacked models to evaluate at a time, from the size of one evaluation's intermediate values."""
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), models)
    n = jax.tree.leaves(models)[0].shape[0]
    return max(1, min(n, EVALUATION_BYTES // max(1, cost_of(problem.evaluate, one).held_bytes)))


def measure(models: PyTree, problem: Problem, mesh: Mesh | None = None) -> dict[str, jax.Array]:
    """Of stacked models `[n, ...]`: metrics of the mean model, and mean, standard deviation, worst, best over nodes.

    Keys: `mean_model_loss, mean_loss, std_loss, worst_loss, best_loss`, the same with `accuracy` where the problem has
    one, `consensus_distance`, and `suboptimality` = f(mean model) - f* where the optimum is known. `mesh`: devices that
    evaluate a part of the models each.
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
