"""The moments in the state of an optimizer: its real arrays, which peers can average."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl.types import PyTree

__all__ = ["moments", "with_moments"]


def moments(opt: PyTree) -> list[jax.Array]:
    """The arrays of real numbers in the state of an optimizer, in order; counts of steps are none.

    >>> import optax
    >>> [x.shape for x in moments(optax.scale_by_adam().init(jnp.zeros(3)))]
    [(3,), (3,)]
    """
    return [x for x in jax.tree.leaves(opt) if _is_real(x)]


def with_moments(opt: PyTree, new: list[jax.Array]) -> PyTree:
    """The state with these arrays in place of its `moments`."""
    leaves, structure = jax.tree.flatten(opt)
    values = iter(new)
    return structure.unflatten([next(values) if _is_real(x) else x for x in leaves])


def _is_real(x: jax.Array) -> bool:
    return jnp.issubdtype(jnp.result_type(x), jnp.inexact)
