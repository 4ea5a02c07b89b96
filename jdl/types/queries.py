"""Which data: selections of examples, queries, and what an oracle is told of a node."""

from __future__ import annotations

import jax
from flax import struct

from jdl.types.fields import Key, PyTree

__all__ = ["BatchId", "Data", "Examples", "FULL", "Full", "Minibatch", "PUBLIC", "Part", "Public", "Query", "Which"]


@struct.dataclass
class Minibatch:
    """Minibatch `k` of this round of the node's own examples. One `k` names one batch."""

    k: int | jax.Array = 0


@struct.dataclass
class Full:
    """All examples of the node."""


@struct.dataclass
class Part:
    """Part `index` of `parts` of the node's examples. The mean of the gradients over all parts is the full gradient."""

    index: int | jax.Array
    parts: int = struct.field(pytree_node=False)


@struct.dataclass
class Public:
    """Minibatch `k` of this round of the public inputs, the same for all nodes."""

    k: int | jax.Array = 0


FULL = Full()
PUBLIC = Public
# A number k is short for Minibatch(k).
Which = int | jax.Array | Minibatch | Full | Part | Public


@struct.dataclass
class Query:
    """What is asked of the data.

    Attributes:
      which: the examples.
      weights: f[B], a factor on the loss of each example, or None for ones. The mean still divides by the number of
        real examples.
      of: the name of the loss: a method of the problem, `(params, batch) -> (f[], second output)`.
    """

    which: Minibatch | Full | Part | Public
    weights: jax.Array | None = None
    of: str = struct.field(pytree_node=False, default="loss")


@struct.dataclass
class Examples:
    """The losses of the examples of a batch, one by one.

    Attributes:
      loss: f[B].
      place: i32[B], the place of each example among the node's own, an index into f[`node.width`].
      group: i32[B], the class of each example; zeros if the problem does not know classes.
      real: bool[B], which are examples and not padding.
    """

    loss: jax.Array
    place: jax.Array
    group: jax.Array
    real: jax.Array


@struct.dataclass
class Data:
    """One node's data in one round. Only the oracle reads it.

    Attributes:
      problem: the data of all nodes.
      id: i32[], the node, or -1 for the server's desk.
      t: i32[], the round.
      count: i32[], the number of rounds before this one in which the node took part and worked.
      key: a random key folded with (round, id). It differs from the algorithm's key.
      order_key: a random key folded with id, the same in all rounds.
      public_key: a random key folded with the round, the same for all nodes.
      honest: bool[], whether the node follows the protocol.
      group: i32[], the group of the node.
      works: bool[], or None if all nodes work.
      memory: what the oracle remembers of this node.
    """

    problem: PyTree  # a Problem, whose protocol reads this module
    id: jax.Array
    t: jax.Array
    count: jax.Array
    key: Key
    order_key: Key
    public_key: Key
    honest: jax.Array
    group: jax.Array
    works: jax.Array | None = None
    memory: PyTree = ()


@struct.dataclass
class BatchId:
    """The name of one minibatch of one node.

    Attributes:
      key: the minibatch's own key, for examples drawn at random.
      order_key: the node's key, the same for all of its minibatches, for an order in which examples are visited.
      t: i32[], the round.
      count: i32[], the number of rounds before this one in which the node took part and worked.
      k: i32[], the number of the minibatch in its round.
    """

    key: Key
    order_key: Key
    t: jax.Array
    count: jax.Array
    k: jax.Array
