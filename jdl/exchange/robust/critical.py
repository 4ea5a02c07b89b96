"""Which parameters of a model a change touches most and least, and how alike two changes are in that."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl import tree

__all__ = ["likeness", "of_change"]

Leaves = list[jax.Array]
# Criticalities whose relative deviation is below this are constant: what is left of them is rounding.
CONSTANT = 1e-6


def of_change(changes: Leaves, before: Leaves, there: jax.Array) -> jax.Array:
    """f[m, d], the criticality |change * (before + change)| of each parameter; zeros for what is not there.

    Parameters are those in arrays of two or more dimensions; all, if there are no such arrays.

    Args:
      changes: leaves `[m, ...]`.
      before: the model that was changed, leaves without an axis of rows.
      there: bool[m].
    """
    pairs = list(zip(changes, before, strict=True))
    chosen = [pair for pair in pairs if pair[1].ndim >= 2] or pairs
    flat = []
    for change, model in chosen:
        change = tree.where_rows(there, change, jnp.zeros((), change.dtype)).astype(jnp.float32)
        now = change + model.astype(jnp.float32)[None]
        flat.append(jnp.abs(change * now).reshape(change.shape[0], -1))
    return jnp.concatenate(flat, axis=1)


def likeness(left: jax.Array, right: jax.Array, share: float) -> jax.Array:
    """f[a, b], how alike criticalities are, 0 to 2: half of the Jaccard indices and of (1 + r) / 2, of both ends.

    Only the parameters of the sets are compared, of one row on the left at a time.

    Args:
      left: f[a, d].
      right: f[b, d].
      share: share of the parameters in each of the two sets of a row; at least one is. Of equal parameters the first
        ones are taken.
    """
    size = max(int(left.shape[1] * share), 1)
    pair = lambda sign: _of_sets(left, right, _sets(sign * left, size), _sets(sign * right, size))
    return (pair(1) + pair(-1)) / 2


def _sets(values: jax.Array, size: int) -> jax.Array:
    """i32[m, size], the largest parameters of each row."""
    return jax.lax.top_k(values, size)[1].astype(jnp.int32)


def _of_sets(left: jax.Array, right: jax.Array, ours: jax.Array, theirs: jax.Array) -> jax.Array:
    size, d = ours.shape[1], left.shape[1]

    def one(row: tuple[jax.Array, jax.Array]) -> jax.Array:
        values, places = row
        common = jnp.zeros(d, bool).at[places].set(True)[theirs]
        r = _correlation(values[theirs], jnp.take_along_axis(right, theirs, axis=1), common)
        both = jnp.sum(common, axis=1, dtype=jnp.float32)
        return both / (2 * size - both) + (1 + r) / 2

    return jax.lax.map(one, (left, ours))


def _correlation(x: jax.Array, y: jax.Array, common: jax.Array) -> jax.Array:
    """f[b], the correlation along the last axis over the common places; 0 where it is not defined."""
    count = jnp.sum(common, axis=1, keepdims=True, dtype=x.dtype)

    def centred(values):
        largest = jnp.max(jnp.where(common, values, 0), axis=1, keepdims=True)
        values = jnp.where(common, values / jnp.where(largest > 0, largest, 1), 0)  # or its squares may underflow
        gaps = jnp.where(common, values - jnp.sum(values, axis=1, keepdims=True) / jnp.maximum(count, 1), 0)
        squares = jnp.sum(gaps * gaps, axis=1)
        return gaps, squares, squares > count[:, 0] * CONSTANT**2

    (x, xx, x_varies), (y, yy, y_varies) = centred(x), centred(y)
    varies = x_varies & y_varies
    r = jnp.sum(x * y, axis=1) / jnp.sqrt(jnp.where(varies, xx * yy, 1))
    return jnp.where(varies, jnp.clip(r, -1, 1), 0)
