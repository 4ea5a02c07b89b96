"""Means, extremes and distances over the nodes that count."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl import tree
from jdl.types import PyTree

__all__ = ["consensus_distance", "distances", "mean_model", "over_nodes"]


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
        from_each = lambda centre: jax.tree.map(lambda x, c: x - c[None], models, centre)
        mean = tree.mean_rows(from_each(first))
        centre = tree.add(first, mean)
        rounding = tree.add(tree.sub(first, centre), mean)
        n = jax.tree.leaves(models)[0].shape[0]
        return jnp.maximum(tree.norm_squared(from_each(centre)) / n - tree.norm_squared(rounding), 0)
    first = jnp.argmax(honest, keepdims=True)
    apart = jax.tree.map(lambda x: jnp.where(tree.column(honest, x), x - x[first], 0), models)
    centred = jax.tree.map(lambda x, mean: x - mean[None], apart, mean_model(apart, honest))
    square = tree.norm_squared(tree.where_rows(honest, centred, tree.zeros_like(centred)))
    return square / jnp.sum(honest).astype(square.dtype)


def distances(models: PyTree, honest: jax.Array | None = None) -> jax.Array:
    """||x_i - xbar|| of every model, f[n].

    Args:
      models: the models, stacked `[n, ...]`.
      honest: bool[n], the nodes over which the mean xbar is taken; None for all.

    >>> import jax.numpy as jnp
    >>> distances(jnp.array([[0.0, 0.0], [6.0, 8.0]])).tolist()
    [5.0, 5.0]
    """
    first = jnp.argmax(jnp.ones(1, bool) if honest is None else honest, keepdims=True)  # see consensus_distance
    apart = jax.tree.map(lambda x: x - x[first], models)
    centred = jax.tree.map(lambda x, mean: x - mean[None], apart, mean_model(apart, honest))
    return _root(jax.vmap(tree.norm_squared)(centred))


def over_nodes(values: jax.Array, honest: jax.Array | None) -> tuple[jax.Array, ...]:
    """The mean, standard deviation, minimum and maximum of f[n]."""
    if honest is None:
        return jnp.mean(values), _std(values), jnp.min(values), jnp.max(values)
    count = jnp.sum(honest).astype(values.dtype)
    mean = jnp.sum(jnp.where(honest, values, 0)) / count
    std = _root(jnp.sum(jnp.where(honest, jnp.square(values - mean), 0)) / count)
    return mean, std, jnp.min(values, where=honest, initial=jnp.inf), jnp.max(values, where=honest, initial=-jnp.inf)


def mean_model(models: PyTree, honest: jax.Array | None) -> PyTree:
    """The mean of the models of the nodes that count."""
    if honest is None:
        return tree.mean_rows(models)
    total = lambda x: jnp.sum(jnp.where(tree.column(honest, x), x, 0), axis=0)
    return jax.tree.map(lambda x: total(x) / jnp.sum(honest).astype(x.dtype), models)


# Equal models, as at the start, have a spread of zero, where a square root has no derivative: JAX's is infinite, and
# would make derivatives of all later metrics NaN. Here it is zero, since the spread is smallest there.
@jax.custom_jvp
def _root(square: jax.Array) -> jax.Array:
    return jnp.sqrt(square)


@_root.defjvp
def _root_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    root = _root(*primals)
    return root, jnp.where(root > 0, tangents[0] / (2 * jnp.where(root > 0, root, 1)), 0)


@jax.custom_jvp
def _std(values: jax.Array) -> jax.Array:
    return jnp.std(values)


@_std.defjvp
def _std_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (values,), (tangent,) = primals, tangents
    std = _std(values)
    along = jnp.mean((values - jnp.mean(values)) * tangent)
    return std, jnp.where(std > 0, along / jnp.where(std > 0, std, 1), 0)
