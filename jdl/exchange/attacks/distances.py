"""Distances between messages, over all arrays of a message together."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl import tree
from jdl.exchange.attacks.liars import wide
from jdl.types import Message

__all__ = ["apart", "gram", "inner_products", "largest_distance"]


def apart(rows: jax.Array, message: Message, centre: Message) -> Message:
    """`x_i - centre` of some rows, and zeros elsewhere, leaves `[s, ...]` in float32 at least.

    Args:
      rows: bool[s], which rows count.
      message: leaves `[s, ...]`.
      centre: leaves `[1, ...]`.
    """
    return jax.tree.map(lambda x, c: jnp.where(tree.column(rows, x), wide(x) - c, 0), message, centre)


def gram(message: Message) -> jax.Array:
    """The inner products of all pairs of rows, f[s, s], array by array, so that no second copy of them is made."""
    flat = [x.reshape(x.shape[0], -1) for x in jax.tree.leaves(message)]
    return sum(jnp.matmul(x, x.T, precision="highest") for x in flat)


def inner_products(message: Message, other: Message) -> jax.Array:
    """The inner product of each row with one message, leaves `[1, ...]`: f[s]."""
    total = lambda x, p: jnp.sum(x * p, axis=tuple(range(1, x.ndim)))
    return sum(jax.tree.leaves(jax.tree.map(total, message, other)))


def largest_distance(message: Message, rows: jax.Array) -> jax.Array:
    """The largest squared distance between two of some rows, f[]; zero if there are fewer than two.

    Args:
      message: leaves `[s, ...]`, close to zero beside their distances, or these are rounded away.
      rows: bool[s], which rows count.
    """
    products = gram(message)
    squares = jnp.diagonal(products)
    both = rows[:, None] & rows[None, :]
    return jnp.max(jnp.where(both, squares[:, None] + squares[None, :] - 2 * products, 0))
