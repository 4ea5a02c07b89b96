"""The numbers of a model, cut into parts of one size."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp

from jdl.types import PyTree

__all__ = ["places"]


def places(params: PyTree, parts: int) -> PyTree:
    """The part in which each number of a model lies, i32 in the shapes of its arrays.

    The numbers, in the order of the arrays, are cut into parts of one size, or of one number more.

    Args:
      params: the model.
      parts: number of parts, at least 1, and at most that of the numbers.

    >>> places([jnp.zeros(3), jnp.zeros((2, 1))], 2)
    [Array([0, 0, 1], dtype=int32), Array([[1],
           [1]], dtype=int32)]
    """
    leaves, structure = jax.tree.flatten(params)
    ends = list(itertools.accumulate(leaf.size for leaf in leaves))
    edges = [part * ends[-1] // parts for part in range(1, parts)]

    def of(leaf: jax.Array, end: int) -> jax.Array:
        place = jnp.arange(end - leaf.size, end, dtype=jnp.int32).reshape(leaf.shape)
        return sum(((place >= edge).astype(jnp.int32) for edge in edges), start=jnp.zeros(leaf.shape, jnp.int32))

    return structure.unflatten([of(leaf, end) for leaf, end in zip(leaves, ends, strict=True)])
