"""Metrics: pure functions of the models and the problem, computed in the compiled loop at evaluation rounds only."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jdl import checks, tree
from jdl.engine.cost import cost_of
from jdl.engine.placement import divided
from jdl.types import Problem, PyTree

__all__ = [
    "BUILT_IN",
    "COLUMNS",
    "EVALUATED",
    "PER_NODE",
    "Metrics",
    "consensus_distance",
    "measure",
    "models_at_once",
    "users",
]

# The order in which tables show them. `jit` returns a dictionary in the order of its keys.
OF = ("mean_model", "mean", "std", "worst", "best")
COLUMNS = (
    *(f"{of}_{what}" for what in ("loss", "accuracy") for of in OF),
    *("own_loss", "worst_own_loss", "own_accuracy", "worst_own_accuracy"),
    *("consensus_distance", "suboptimality"),
)
# Names of metrics that are arrays with an entry for each node begin with this.
PER_NODE = "nodes/"
# The column with the number of nodes whose models were evaluated. Only runs that evaluate a sample of them have it.
EVALUATED = "eval_nodes"

# Evaluating all n models at once would hold n times the activations of the test set. At most this much is held.
EVALUATION_BYTES = 64 * 1024**2


@dataclasses.dataclass(frozen=True)
class Metrics:
    """What is measured beside the built-in metrics, as a part of the program.

    Attributes:
      functions: the user's own metrics, pairs of a name and a function; see `users`.
      own: whether models are also evaluated on the distribution of each node.
      honest_only: whether means and extremes over nodes count the honest nodes only. It is false in a simulation
        without dishonest nodes, whose program has no masks.
    """

    functions: tuple[tuple[str, Callable[..., Any]], ...] = ()
    own: bool = False
    honest_only: bool = False


BUILT_IN = Metrics()


def consensus_distance(models: PyTree, honest: jax.Array | None = None) -> jax.Array:
    """(1/n) sum_i ||x_i - xbar||^2 for stacked models `[n, ...]`.

    Args:
      models: the models, stacked `[n, ...]`.
      honest: bool[n], the nodes over which both means are taken; None for all.

    >>> import jax.numpy as jnp
    >>> float(consensus_distance(jnp.array([[0.0, 0.0], [2.0, 0.0]])))
    1.0
    """
    # Measured from one of the nodes: identical models are at distance zero exactly, whatever the rounding of a mean.
    if honest is None:
        # Each sum reads the models, since differences that both use would be stored, a copy of all models; and the mean
        # square about the rounded mean exceeds that about the mean by the square of what rounding took.
        first = jax.tree.map(lambda x: x[0], models)
        mean = tree.mean_rows(tree.sub(models, first))
        centre = tree.add(first, mean)
        rounding = tree.add(tree.sub(first, centre), mean)
        n = jax.tree.leaves(models)[0].shape[0]
        return tree.norm_squared(tree.sub(models, centre)) / n - tree.norm_squared(rounding)
    first = jnp.argmax(honest, keepdims=True)
    apart = jax.tree.map(lambda x: jnp.where(tree.column(honest, x), x - x[first], 0), models)
    centred = jax.tree.map(lambda x, mean: x - mean[None], apart, _mean_model(apart, honest))
    square = tree.norm_squared(tree.where_rows(honest, centred, tree.zeros_like(centred)))
    return square / jnp.sum(honest).astype(square.dtype)


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

    Returns:
      A dict of f[]: `mean_model_loss`, `mean_loss`, `std_loss`, `worst_loss`, `best_loss`; the same with `accuracy` if
      the problem has one; `consensus_distance`; and `suboptimality` = f(mean model) - f* if the optimum is known. With
      `own`, also `own_loss` and `worst_own_loss`, the mean and the worst over nodes of each node's metric on its own
      distribution, the same with `accuracy`, and the metrics of each node, f[n], as `nodes/own_loss`. With a sample,
      the statistics over nodes are those of the sample, and numbers f[n] are NaN elsewhere.
    """
    rows = jax.tree.leaves(models)[0].shape[0]
    counted = honest if rows == problem.n else None  # one model that serves all nodes belongs to none of them
    at_mean = problem.evaluate(_mean_model(models, counted))
    some, among, ids = models, counted, jnp.arange(problem.n, dtype=jnp.int32)
    if sample is not None and rows == problem.n:
        some, ids = tree.take_rows(models, sample), sample
        among = None if counted is None else counted[sample]
    size = models_at_once(problem, some)
    if ids is sample:
        size = _equal_parts(sample.shape[0], size)
    of_each = lambda problem, models: jax.lax.map(problem.evaluate, models, batch_size=size)
    per_node = divided(of_each, mesh)(problem, some)
    row = {}
    for name, values in per_node.items():
        mean, std, low, high = _statistics(values, among)
        worst, best = (high, low) if name == "loss" else (low, high)
        row[f"mean_model_{name}"] = at_mean[name]
        row[f"mean_{name}"], row[f"std_{name}"] = mean, std
        row[f"worst_{name}"], row[f"best_{name}"] = worst, best
    row["consensus_distance"] = consensus_distance(models, counted)
    if problem.optimum is not None:
        row["suboptimality"] = at_mean["loss"] - problem.optimum.loss
    if own:
        for name, values in _own(some, ids, problem, mesh, size).items():
            mean, _, low, high = _statistics(values, among if rows == problem.n else honest)
            row[f"own_{name}"], row[f"worst_own_{name}"] = mean, high if name == "loss" else low
            unknown = jnp.full(problem.n, jnp.nan, values.dtype)
            row[f"{PER_NODE}own_{name}"] = values if ids is not sample else unknown.at[ids].set(values)
    return row


def _equal_parts(count: int, most: int) -> int:
    """The size of few equal parts of at most `most`, so that the rest of a division need not be compiled as well.

    >>> _equal_parts(256, 248), _equal_parts(256, 256), _equal_parts(257, 200)
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


def users(
    functions: tuple[tuple[str, Callable[..., Any]], ...],
    models: PyTree,
    state: Any,
    simulation: Any,
    honest: jax.Array | None = None,
) -> dict[str, jax.Array]:
    """Compute the user's own metrics.

    Args:
      functions: pairs of a name and a function `(models, state, simulation) -> f[] or f[n]`.
      models: the models, `[n, ...]`, or a server's model, `[1, ...]`.
      state: the state of the run, a `RunState`.
      simulation: what is simulated.
      honest: bool[n], the nodes that the statistics count; None for all.

    Returns:
      A number f[] under its name; numbers f[n] as `nodes/NAME`, and their `mean_NAME`, `std_NAME`, `min_NAME` and
      `max_NAME` over nodes.

    Raises:
      InputError: if a function returns anything else, or if two of these names are the same.
    """
    n, row = simulation.problem.n, {}
    for name, function in functions:
        value = function(models, state, simulation)
        need = f"need one real number, or one for each of {n} nodes; return an array of shape () or ({n},)"
        number = isinstance(value, jax.Array | np.ndarray | np.generic | bool | int | float)
        checks.require(number, f"got metric {name!r} that returns {type(value).__name__}, {need}")
        value = jnp.asarray(value)
        checks.require(
            value.shape in ((), (n,)) and value.dtype.kind in "fiub",
            f"got metric {name!r} of shape {value.shape} and type {value.dtype}, {need}",
        )
        if value.dtype.kind != "f":
            value = jax.lax.convert_element_type(value, jnp.result_type(float))
        found = {name: value}
        if value.ndim:
            names = (f"{of}_{name}" for of in ("mean", "std", "min", "max"))
            found = {f"{PER_NODE}{name}": value, **dict(zip(names, _statistics(value, honest), strict=True))}
        twice = " and ".join(sorted(found.keys() & {*row, *COLUMNS, EVALUATED}))
        checks.require(not twice, f"got metric {name!r}, whose column {twice} exists already; choose another name")
        row |= found
    return row


def _statistics(values: jax.Array, honest: jax.Array | None) -> tuple[jax.Array, ...]:
    """The mean, standard deviation, minimum and maximum of f[n]."""
    if honest is None:
        return jnp.mean(values), jnp.std(values), jnp.min(values), jnp.max(values)
    count = jnp.sum(honest).astype(values.dtype)
    mean = jnp.sum(jnp.where(honest, values, 0)) / count
    std = jnp.sqrt(jnp.sum(jnp.where(honest, jnp.square(values - mean), 0)) / count)
    return mean, std, jnp.min(values, where=honest, initial=jnp.inf), jnp.max(values, where=honest, initial=-jnp.inf)


def _mean_model(models: PyTree, honest: jax.Array | None) -> PyTree:
    """The mean of the models of the nodes that count."""
    if honest is None:
        return tree.mean_rows(models)
    total = lambda x: jnp.sum(jnp.where(tree.column(honest, x), x, 0), axis=0)
    return jax.tree.map(lambda x: total(x) / jnp.sum(honest).astype(x.dtype), models)
