"""Minibatches that each example joins by itself, as accounts of private gradients assume."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from jdl.problems.orders import shuffled
from jdl.types import Key

__all__ = ["poisson", "room"]


def room(size: int) -> int:
    """The number of places of a minibatch of `size` examples in the mean.

    More examples are drawn with a probability below 1e-9 (six standard deviations, and some more for small sizes).
    Those that find no place are left out.

    >>> room(1), room(32), room(256)
    (15, 76, 360)
    """
    return size + 6 * math.ceil(math.sqrt(size)) + 8


def poisson(key: Key, count: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """Choose a minibatch that each example of a node joins by itself, with probability size / count.

    How many do is a binomial number, and which of them, given their number, a sample without replacement: the cost
    depends on the size, and not on the number of examples of the node.

    Args:
      key: names the minibatch.
      count: i32[], the number of examples of the node. With at most `size` of them, all join.
      size: the mean number of examples of a minibatch, at least 1.

    Returns:
      The places, i32[room(size)], and which of them are examples, bool[room(size)].
    """
    number, order = jax.random.split(key)
    share = jnp.minimum(size / jnp.maximum(count, 1).astype(jnp.float32), 1)
    joined = jax.random.binomial(number, count.astype(jnp.float32), share, dtype=jnp.float32)
    places = jnp.arange(room(size), dtype=jnp.int32)
    # Of few examples, the binomial draw may be no whole number by rounding.
    real = places < jnp.minimum(jnp.round(joined).astype(jnp.int32), count)
    return shuffled(order, jnp.where(real, places, 0), count), real
