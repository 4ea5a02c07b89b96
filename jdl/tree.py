"""Algebra on pytrees, for algorithms (the arrays of one node) and for the engine (a row for each node)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl.types import PyTree

__all__ = [
    "add",
    "axpy",
    "bits",
    "cast",
    "column",
    "copied",
    "dot",
    "mean_rows",
    "norm_squared",
    "numbers_to_arrays",
    "put_rows",
    "scale",
    "size_bits",
    "sub",
    "take_rows",
    "where",
    "where_rows",
    "zeros_like",
]


def add(x: PyTree, y: PyTree) -> PyTree:
    """`x + y`, leaf by leaf."""
    return jax.tree.map(jnp.add, x, y)


def sub(x: PyTree, y: PyTree) -> PyTree:
    """`x - y`, leaf by leaf."""
    return jax.tree.map(jnp.subtract, x, y)


def scale(a: float | jax.Array, x: PyTree) -> PyTree:
    """`a x`, leaf by leaf, in the dtype of `x`."""
    return jax.tree.map(lambda x: jnp.asarray(a, x.dtype) * x, x)


def axpy(a: float | jax.Array, x: PyTree, y: PyTree) -> PyTree:
    """`a x + y`, leaf by leaf, in the dtype of `y`."""
    return jax.tree.map(lambda x, y: jnp.asarray(a, y.dtype) * x + y, x, y)


def cast(x: PyTree, like: PyTree) -> PyTree:
    """`x` with the dtypes of `like`."""
    return jax.tree.map(lambda x, like: x.astype(like.dtype), x, like)


def zeros_like(x: PyTree) -> PyTree:
    """Zeros with the shapes and dtypes of `x`, whose leaves may be `ShapeDtypeStruct`."""
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), x)


def norm_squared(x: PyTree) -> jax.Array:
    """The squared Euclidean norm over all leaves."""
    return _total(jax.tree.map(lambda x: jnp.sum(jnp.square(x)), x))


def dot(x: PyTree, y: PyTree) -> jax.Array:
    """The inner product over all leaves."""
    return _total(jax.tree.map(lambda x, y: jnp.sum(x * y), x, y))


def _total(x: PyTree) -> jax.Array:
    """The sum of the leaves, which are scalars, in their own dtype; a zero of the default dtype if there are none."""
    scalars = jax.tree.leaves(x)
    return sum(scalars[1:], start=scalars[0]) if scalars else jnp.zeros(())


def where(condition: jax.Array, x: PyTree, y: PyTree) -> PyTree:
    """`x` if the scalar `condition` is true, otherwise `y`, leaf by leaf."""
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), x, y)


def column(v: jax.Array, x: jax.Array) -> jax.Array:
    """Reshape `v: [m]` so that it multiplies the rows of `x: [m, ...]`."""
    return v.reshape(v.shape[:1] + (1,) * (x.ndim - 1))


def mean_rows(x: PyTree) -> PyTree:
    """The mean over the leading axis of every leaf."""
    return jax.tree.map(lambda x: jnp.mean(x, axis=0), x)


def take_rows(x: PyTree, rows: jax.Array | None) -> PyTree:
    """The rows `rows: i32[m]` of every leaf, within bounds; all rows if `rows` is None."""
    if rows is None:
        return x
    return jax.tree.map(lambda x: x.at[rows].get(mode="promise_in_bounds"), x)


def put_rows(x: PyTree, rows: jax.Array | None, new: PyTree) -> PyTree:
    """`x` with its rows `rows` replaced by those of `new`; `new` itself if `rows` is None.

    Rows beyond the last one of `x` are left out.
    """
    if rows is None:
        return new
    return jax.tree.map(lambda x, new: x.at[rows].set(new, mode="drop"), x, new)


def where_rows(mask: jax.Array | None, x: PyTree, y: PyTree) -> PyTree:
    """The rows of `x` where `mask: bool[m]` is true, and those of `y` elsewhere; `x` if `mask` is None."""
    return x if mask is None else jax.tree.map(lambda x, y: jnp.where(column(mask, x), x, y), x, y)


def size_bits(message: PyTree) -> int:
    """The size in bits of one uncompressed message: the number of its entries times their width."""
    return sum(leaf.size * leaf.dtype.itemsize * 8 for leaf in jax.tree.leaves(message))


def bits(message: PyTree) -> int:
    """The size in bits of one row of an uncompressed stacked message `M[m]`."""
    return sum(leaf.size // leaf.shape[0] * leaf.dtype.itemsize * 8 for leaf in jax.tree.leaves(message))


def copied(x: Any, dtype: Any = None) -> jax.Array:
    """A copy of an array of the host on the device. `jnp.array` would compile a program for each shape and type.

    >>> copied(np.arange(3), np.int32)
    Array([0, 1, 2], dtype=int32)
    """
    return jax.device_put(np.array(x, dtype))


def numbers_to_arrays(x: PyTree) -> PyTree:
    """Convert Python numbers and 0-d floating arrays to 0-d arrays of the default float type.

    JAX would compile one program for a float in a leaf, another for an int and a third for an array. Integers that
    count something are static fields, so that a number in a leaf is always a real hyper-parameter. Other arrays stay as
    they are.
    """

    def convert(leaf):
        if isinstance(leaf, jax.Array):
            number = leaf.ndim == 0 and jnp.issubdtype(leaf.dtype, jnp.floating)
            return jax.lax.convert_element_type(leaf, jnp.result_type(float)) if number else leaf
        array = np.asarray(leaf)
        return copied(array, jnp.result_type(float) if array.ndim == 0 and array.dtype != bool else None)

    return jax.tree.map(convert, x)
