"""Proximal operators for methods with a regulariser or a constraint, built from optax's projections."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from optax import projections

from jdl import checks, tree
from jdl.types import PyTree

__all__ = ["PROXES", "Prox", "operator"]

Prox = Callable[[PyTree, jax.Array, jax.Array], PyTree]


def _l1(v: PyTree, step: jax.Array, strength: jax.Array) -> PyTree:
    """Soft thresholding: by Moreau's identity, v minus its projection on the infinity ball."""
    return tree.sub(v, projections.projection_linf_ball(v, step * strength))


def _l2_ball(v: PyTree, step: jax.Array, strength: jax.Array) -> PyTree:
    return projections.projection_l2_ball(v, strength)


def _simplex(v: PyTree, step: jax.Array, strength: jax.Array) -> PyTree:
    """max(v - tau, 0), by Michelot's method: tau rises until all entries above it stay there. No sort is needed."""
    flat, restored = ravel_pytree(v)

    def threshold(above):
        tau = (jnp.sum(jnp.where(above, flat, 0)) - strength) / jnp.sum(above, dtype=flat.dtype)
        return jnp.minimum(tau, jnp.max(flat))  # the largest entry stays above, whatever the rounding

    def rise(carry):
        above, _ = carry
        higher = above & (flat >= threshold(above))
        return higher, jnp.any(higher != above)

    above, _ = jax.lax.while_loop(lambda carry: carry[1], rise, (jnp.ones(flat.shape, bool), jnp.bool_(True)))
    return restored(jnp.maximum(flat - threshold(above), 0))


def _non_negative(v: PyTree, step: jax.Array, strength: jax.Array) -> PyTree:
    return projections.projection_non_negative(v)


# (v, step, strength) -> argmin_u r(u) + ||u - v||^2 / (2 step), over all parameters at once. r is strength times the l1
# norm, or the constraint to the l2 ball of radius strength, to the simplex of sum strength, or to non-negative values.
PROXES: dict[str, Prox] = {"l1": _l1, "l2_ball": _l2_ball, "non_negative": _non_negative, "simplex": _simplex}


def operator(prox: str | Prox) -> Prox:
    """The proximal operator with a name in `PROXES`; a function is returned unchanged.

    >>> import jax.numpy as jnp
    >>> operator("l1")(jnp.array([3.0, -0.5]), 1.0, 1.0).tolist()
    [2.0, 0.0]

    Args:
      prox: name in `PROXES`, or a function (v, step, strength) -> v.

    Raises:
      InputError: if the name is unknown.
    """
    return PROXES[checks.known("prox", prox, PROXES)] if isinstance(prox, str) else prox
