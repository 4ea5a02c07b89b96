"""The metrics of a model on many examples: computed for a part of them at a time, and averaged by weights."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

__all__ = ["by_group", "in_parts", "mean_of"]

# The number of examples that are evaluated at once, which bounds the memory for activations.
EVALUATED_AT_ONCE = 1000

Metrics = dict[str, jax.Array]


def in_parts(measured: Callable[[jax.Array, jax.Array], Metrics], x: jax.Array, y: jax.Array) -> Metrics:
    """The metrics of single examples.

    Args:
      measured: takes inputs and targets of B examples, and gives metrics f[B] by name.
      x: the inputs, [T, ...].
      y: the targets, [T, ...].

    Returns:
      The metrics f[T] by name.
    """
    size = EVALUATED_AT_ONCE
    whole = x.shape[0] // size * size
    parts = []
    if whole:
        folded = tuple(values[:whole].reshape(-1, size, *values.shape[1:]) for values in (x, y))
        parts.append(jax.lax.map(lambda pair: measured(*pair), folded))
    if whole < x.shape[0] or not whole:
        parts.append(measured(x[whole:], y[whole:]))
    return {name: jnp.concatenate([part[name].reshape(-1) for part in parts]) for name in parts[0]}


def mean_of(each: Metrics, real: jax.Array) -> Metrics:
    """The means over the examples that are real, bool[T]; zeros if there are none."""
    count = jnp.maximum(jnp.sum(real), 1)
    return {name: jnp.sum(jnp.where(real, values, 0)) / count.astype(values.dtype) for name, values in each.items()}


def by_group(each: Metrics, group: jax.Array, weights: jax.Array) -> Metrics:
    """The weighted sums `sum_t weights[..., group_t] each_t`.

    Args:
      each: metrics f[T] by name.
      group: i32[T].
      weights: f[G] or f[n, G].

    Returns:
      f[] or f[n] by name.
    """
    sums = {name: jax.ops.segment_sum(values, group, weights.shape[-1]) for name, values in each.items()}
    precise = jax.lax.Precision.HIGHEST  # a GPU may otherwise round products to ten bits
    return {name: jnp.matmul(weights.astype(each.dtype), each, precision=precise) for name, each in sums.items()}
