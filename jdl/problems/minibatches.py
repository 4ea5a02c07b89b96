"""Which of its own examples a node takes for a minibatch: their places in its row of the table, and a mask.

The same program for nodes with few and with many examples: a row has `count` real places, then padding.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl.rng import shuffled
from jdl.types import BatchId

__all__ = ["SAMPLING", "batches", "in_row", "minibatch"]

Places = tuple[jax.Array, jax.Array]

# How minibatches are drawn. "replacement": each example at random. "round": without replacement, an order drawn anew
# for each round, in which local steps follow each other. "epochs": the same over rounds, of `steps_per_round` steps.
# "stream": in the order of the data, as it comes in over time.
SAMPLING = ("replacement", "round", "epochs", "stream")


def minibatch(sampling: str, batch_id: BatchId, count: jax.Array, size: int, steps_per_round: int = 1) -> Places:
    """The places of a minibatch of `size` examples among `count`, i32[size], and which of them are real, bool[size].

    Args:
      sampling: a word of `SAMPLING`.
      draw: names the minibatch.
      count: i32[], examples of the node; with none of them no place is real.
      size: examples a minibatch, at least 1; the last of a pass has what is left.
      steps_per_round: minibatches that a round takes, for "epochs" and "stream".

    >>> draw = BatchId(key=jax.random.key(0), order_key=jax.random.key(1), t=jnp.int32(0), k=jnp.int32(2))
    >>> places, real = minibatch("stream", draw, jnp.int32(5), size=2)
    >>> places.tolist(), real.tolist()
    ([4, 5], [True, False])
    """
    if sampling == "replacement":
        return jax.random.randint(batch_id.key, (size,), 0, jnp.maximum(count, 1), jnp.int32), jnp.full(size, count > 0)
    step = batch_id.k if sampling == "round" else batch_id.t * steps_per_round + batch_id.k
    a_pass = jnp.maximum(batches(count, size), 1)
    places = step % a_pass * size + jnp.arange(size, dtype=jnp.int32)
    real = places < count
    if sampling == "stream":
        return places, real
    own = jax.random.fold_in(batch_id.order_key, batch_id.t) if sampling == "round" else batch_id.order_key
    order = jax.random.fold_in(own, step // a_pass)
    return shuffled(order, jnp.where(real, places, 0), count), real


def batches(count: jax.Array, size: int) -> jax.Array:
    """How many minibatches a pass over `count` examples takes, i32[]: one of all where `size` is 0, none without data.

    >>> batches(jnp.int32(5), 2).item(), batches(jnp.int32(5), 0).item()
    (3, 1)
    """
    return (count + size - 1) // size if size else jnp.minimum(count, 1)


def in_row(count: jax.Array, width: int, part: jax.Array | int = 0, parts: int = 1) -> Places:
    """The places `part`, `part + parts`, ... of a row of `width`, by default all, and which of them are real.

    >>> places, real = in_row(jnp.int32(4), width=6, part=1, parts=2)
    >>> places.tolist(), real.tolist()
    ([1, 3, 5], [True, True, False])
    """
    places = part + parts * jnp.arange(-(-width // parts), dtype=jnp.int32)
    return places, places < count
