"""The pieces of which every form of a plan makes its sums."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl import tree
from jdl.types import Plan

__all__ = ["beginning", "rows", "term"]


def beginning(plan: Plan, own: jax.Array) -> tuple[jax.Array, jax.Array]:
    """What a sum over links begins with, and what is taken off each message: `base + sum_j w_ij (sent_j - base)`.

    Both are `own` where rows of W sum to one. But where W_ii = 0 nothing of a row's own may be left in it, be it large
    or no number: there, and where columns sum to one, plain sums are made.
    """
    weight = tree.column(plan.self_weights.astype(own.dtype), own)
    if plan.stochastic == "column":
        return jnp.where(weight != 0, weight * own, 0), jnp.zeros((), own.dtype)
    base = jnp.where(weight != 0, own, 0)
    return base, base


def term(weight: jax.Array, heard: jax.Array, base: jax.Array) -> jax.Array:
    """What links of these weights add. A weight of zero hears nothing: what does not arrive may be no number."""
    weight = tree.column(weight.astype(base.dtype), heard)
    return jnp.where(weight != 0, weight * (heard.astype(base.dtype) - base), 0)


def rows(x: jax.Array, index: jax.Array) -> jax.Array:
    """Rows of x. The indices of a plan are within bounds."""
    return x.at[index].get(mode="promise_in_bounds")
