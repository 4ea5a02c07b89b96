"""Choose the examples of a minibatch: their places in the node's row of the table of examples, and a mask.

A row has `count` examples and then padding, so that one program serves nodes with few and with many examples.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl.problems.orders import shuffled
from jdl.problems.poisson import poisson
from jdl.rng import fold_in, integers
from jdl.types import BatchId

__all__ = ["SAMPLING", "batches", "in_row", "minibatch"]

Places = tuple[jax.Array, jax.Array]

# "replacement" draws each example at random. "round" draws without replacement: the local steps of a round follow a
# random order that is drawn anew for each round. "epochs" does the same, but the order continues over the rounds in
# which the node takes part, of `steps_per_round` steps each. "stream" follows the order of the data. In "poisson" each
# example joins a minibatch by itself, which accounts of privacy assume, so that its size is random.
SAMPLING = ("replacement", "round", "epochs", "stream", "poisson")


def minibatch(sampling: str, batch_id: BatchId, count: jax.Array, size: int, steps_per_round: int = 1) -> Places:
    """Choose a minibatch among the examples of a node.

    Args:
      sampling: one of `SAMPLING`.
      batch_id: identifies the minibatch, and holds its random keys.
      count: i32[], the number of examples of the node. If it is 0, no place is real.
      size: the number of examples of a minibatch, at least 1; the last minibatch of a pass has the remaining examples.
        With "poisson" it is their mean number, at least 1.
      steps_per_round: the number of minibatches of a round, for "epochs" and "stream".

    Returns:
      The places, i32[size], and which of them are examples and not padding, bool[size]; more of both with "poisson".

    >>> zero, keys = jnp.int32(0), jax.random.split(jax.random.key(0))
    >>> draw = BatchId(key=keys[0], order_key=keys[1], t=zero, count=zero, k=jnp.int32(2))
    >>> places, real = minibatch("stream", draw, jnp.int32(5), size=2)
    >>> places.tolist(), real.tolist()
    ([4, 5], [True, False])
    """
    if sampling == "replacement":
        return integers(batch_id.key, size, jnp.maximum(count, 1)), jnp.full(size, count > 0)
    if sampling == "poisson":
        return poisson(batch_id.key, count, size)
    step = batch_id.k if sampling == "round" else batch_id.count * steps_per_round + batch_id.k
    a_pass = jnp.maximum(batches(count, size), 1)
    places = step % a_pass * size + jnp.arange(size, dtype=jnp.int32)
    real = places < count
    if sampling == "stream":
        return places, real
    own = fold_in(batch_id.order_key, batch_id.t) if sampling == "round" else batch_id.order_key
    order = fold_in(own, step // a_pass)
    return shuffled(order, jnp.where(real, places, 0), count), real


def batches(count: jax.Array, size: int) -> jax.Array:
    """Count the minibatches of a pass over the data.

    Args:
      count: i32[], the number of examples.
      size: the number of examples of a minibatch; 0 for all, in one minibatch.

    Returns:
      i32[]; 0 if there are no examples.

    >>> batches(jnp.int32(5), 2).item(), batches(jnp.int32(5), 0).item()
    (3, 1)
    """
    return (count + size - 1) // size if size else jnp.minimum(count, 1)


def in_row(count: jax.Array, width: int, part: jax.Array | int = 0, parts: int = 1) -> Places:
    """List every `parts`-th place of a row, beginning with place `part`; by default all places.

    Args:
      count: i32[], the number of examples in the row.
      width: the length of the row.
      part: the first place.
      parts: the distance between places.

    Returns:
      The places, i32[ceil(width / parts)], and which of them are examples and not padding.

    >>> places, real = in_row(jnp.int32(4), width=6, part=1, parts=2)
    >>> places.tolist(), real.tolist()
    ([1, 3, 5], [True, True, False])
    """
    places = part + parts * jnp.arange(-(-width // parts), dtype=jnp.int32)
    return places, places < count
