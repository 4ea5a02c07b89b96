"""The terms of the sums, common to all forms of a plan."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl import tree
from jdl.types import Plan

__all__ = ["beginning", "rows", "term"]


def beginning(plan: Plan, own: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The start and the base of the sum `start + sum_j w_ij (sent_j - base)`.

    If the rows of W sum to one, both are `own`. There are two exceptions, in which plain sums are computed: rows with
    W_ii = 0, whose own model must not enter the sum (it may be large or NaN), and plans whose columns sum to one.

    Args:
      plan: the plan.
      own: f[m, ...], the models of the rows.

    Returns:
      The start and the base, f[m, ...]; the base of plain sums is zero.
    """
    weight = tree.column(plan.self_weights.astype(own.dtype), own)
    if plan.stochastic == "column":
        return jnp.where(weight != 0, weight * own, 0), jnp.zeros((), own.dtype)
    base = jnp.where(weight != 0, own, 0)
    return base, base


def term(weight: jax.Array, heard: jax.Array, base: jax.Array) -> jax.Array:
    """The terms `w (heard - base)` of the sum. A weight of zero gives zero, even if the message is NaN.

    Args:
      weight: f[m], the weight of a link into each row.
      heard: f[m, ...], its message.
      base: see `beginning`.
    """
    weight = tree.column(weight.astype(base.dtype), heard)
    return jnp.where(weight != 0, weight * (heard.astype(base.dtype) - base), 0)


def rows(x: jax.Array, index: jax.Array) -> jax.Array:
    """The rows of x with these indices, which are within bounds in every plan."""
    return x.at[index].get(mode="promise_in_bounds", wrap_negative_indices=False)
