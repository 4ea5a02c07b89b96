"""The built-in metrics of models: those of the mean model, and their statistics over nodes."""

from __future__ import annotations

from collections.abc import Collection

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jdl import tree
from jdl.engine.cost import cost_of
from jdl.engine.metrics.chosen import PER_NODE
from jdl.engine.metrics.statistics import consensus_distance, distances, mean_model, over_nodes
from jdl.engine.placement import divided
from jdl.types import Problem, PyTree

__all__ = ["equal_parts", "measure", "models_at_once"]

# Evaluating all n models at once would hold n times the activations of the test set. At most this much is held.
EVALUATION_BYTES = 64 * 1024**2


def models_at_once(problem: Problem, models: PyTree) -> int:
    """The number of models to evaluate at a time, from the size of the intermediate values of one evaluation."""
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), models)
    n = jax.tree.leaves(models)[0].shape[0]
    return max(1, min(n, EVALUATION_BYTES // max(1, cost_of(problem.evaluate, one).held_bytes)))


def measure(
    models: PyTree,
    problem: Problem,
    mesh: Mesh | None = None,
    *,
    honest: jax.Array | None = None,
    own: bool = False,
    sample: jax.Array | None = None,
    per_node: Collection[str] = (),
) -> dict[str, jax.Array]:
    """The metrics of the mean model, and the mean, standard deviation, worst and best over nodes.

    Where some nodes are dishonest, the mean model, the statistics over nodes and the consensus distance are those of
    the honest nodes.

    Args:
      models: the models of all nodes, stacked `[n, ...]`, or one model that serves all nodes, `[1, ...]`.
      problem: evaluates one model.
      mesh: the devices that evaluate a part of the models each, or None.
      honest: bool[n], the nodes that count; None for all.
      own: whether the model of each node is also evaluated on the distribution of that node; the problem offers "own".
      sample: i32[k], the nodes whose models are evaluated; None for all. The mean model and the consensus distance are
        those of all nodes in any case.
      per_node: what is kept for each node as well: names that `problem.evaluate` gives, and "distance", that of each
        model to the mean model.

    Returns:
      A dict of f[]: `mean_model_loss`, `mean_loss`, `std_loss`, `worst_loss`, `best_loss`; the same with `accuracy` if
      the problem has one; `consensus_distance`; and `suboptimality` = f(mean model) - f* if the optimum is known. With
      `own`, also `own_loss` and `worst_own_loss`, the mean and the worst over nodes of each node's metric on its own
      distribution, the same with `accuracy`, and the metrics of each node, f[n], as `nodes/own_loss`. What `per_node`
      names is f[n] as well, `nodes/loss`; one model that serves all nodes has the same numbers at each. With a sample,
      the statistics over nodes are those of the sample, and numbers f[n] are NaN elsewhere, distances excepted.
    """
    rows = jax.tree.leaves(models)[0].shape[0]
    counted = honest if rows == problem.n else None  # one model that serves all nodes belongs to none of them
    at_mean = problem.evaluate(mean_model(models, counted))
    some, among, ids = models, counted, jnp.arange(problem.n, dtype=jnp.int32)
    if sample is not None and rows == problem.n:
        some, ids = tree.take_rows(models, sample), sample
        among = None if counted is None else counted[sample]
    size = models_at_once(problem, some)
    if ids is sample:
        size = equal_parts(sample.shape[0], size)
    of_each = lambda problem, models: jax.lax.map(problem.evaluate, models, batch_size=size)
    row = {}
    for name, values in divided(of_each, mesh)(problem, some).items():
        mean, std, low, high = over_nodes(values, among)
        worst, best = (high, low) if name == "loss" else (low, high)
        row[f"mean_model_{name}"] = at_mean[name]
        row[f"mean_{name}"], row[f"std_{name}"] = mean, std
        row[f"worst_{name}"], row[f"best_{name}"] = worst, best
        if name in per_node:
            row[f"{PER_NODE}{name}"] = _at_nodes(values, ids if ids is sample else None, problem.n)
    row["consensus_distance"] = consensus_distance(models, counted)
    if "distance" in per_node:
        row[f"{PER_NODE}distance"] = _at_nodes(distances(models, counted), None, problem.n)
    if problem.optimum is not None:
        row["suboptimality"] = at_mean["loss"] - problem.optimum.loss
    if own:
        for name, values in _own(some, ids, problem, mesh, size).items():
            mean, _, low, high = over_nodes(values, among if rows == problem.n else honest)
            row[f"own_{name}"], row[f"worst_own_{name}"] = mean, high if name == "loss" else low
            row[f"{PER_NODE}own_{name}"] = _at_nodes(values, ids if ids is sample else None, problem.n)
    return row


def _at_nodes(values: jax.Array, sample: jax.Array | None, n: int) -> jax.Array:
    """The numbers of all nodes, f[n], from those of a sample, f[k], or of one model that serves all nodes, f[1]."""
    if sample is None:
        return jnp.broadcast_to(values, (n,))
    return jnp.full(n, jnp.nan, values.dtype).at[sample].set(values)


def equal_parts(count: int, most: int) -> int:
    """The size of few equal parts of at most `most`, so that the rest of a division need not be compiled as well.

    >>> equal_parts(256, 248), equal_parts(256, 256), equal_parts(257, 200)
    (128, 256, 200)
    """
    least = -(-count // most)
    return next((count // parts for parts in range(least, 2 * least + 1) if count % parts == 0), most)


def _own(models: PyTree, ids: jax.Array, problem: Problem, mesh: Mesh | None, size: int) -> dict[str, jax.Array]:
    """The metrics of the model with which each of these nodes is served, on the distribution of that node."""
    if jax.tree.leaves(models)[0].shape[0] == ids.shape[0]:
        of_each = lambda problem, ids, models: jax.lax.map(
            lambda row: problem.evaluate(row[1], row[0]), (ids, models), batch_size=size
        )
        return divided(of_each, mesh)(problem, ids, models)
    return problem.evaluate_for_all(jax.tree.map(lambda x: x[0], models))
