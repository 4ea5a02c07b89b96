"""What one node sees."""

from __future__ import annotations

from typing import Any

import jax
from flax import struct

from jdl.types.fields import Key, PyTree
from jdl.types.queries import Data, Examples, Which

__all__ = ["Neighbours", "Node"]


@struct.dataclass
class Neighbours:
    """The links of one node, in an order that is the same in every round.

    Attributes:
      ids: i32[k], the neighbours.
      weights: f[k], what this node gives to each.
      used: bool[k], which places hold a link.
    """

    ids: jax.Array
    weights: jax.Array
    used: jax.Array


@struct.dataclass
class Node:
    """All that an algorithm may see: one node in one round. The simulator builds it, and it shows no other node.

    Attributes:
      id: i32[], this node; -1 for the server's desk.
      t: i32[], this round, from 0.
      n: i32[], the number of nodes.
      key: a random key for the algorithm's own draws, folded with (round, id) and the phase of the round.
      common: a key that all nodes share this round, for random choices that they make together.
      self_weight: f[], W[i, i].
      degree: i32[], the number of links into this node this round.
      out_degree: i32[], the number of links on which this node sends this round.
      num_examples: i32[], the number of this node's examples.
      steps: i32[], this round's budget of local steps, or None for as many as the algorithm asks for.
      works: bool[], whether the node computes this round. If it does not, its gradients are zero and its budget is 0.
      elapsed: f[], the seconds since the node's last round; 1 where rounds have no seconds.
      links: the node's neighbours one by one, for methods that need "per_link" or "each"; None for others.
    """

    id: jax.Array
    t: jax.Array
    n: jax.Array
    key: Key
    common: Key
    self_weight: jax.Array
    degree: jax.Array
    out_degree: jax.Array
    num_examples: jax.Array
    steps: jax.Array | None
    works: jax.Array
    elapsed: jax.Array
    links: Neighbours | None
    _data: Data
    _oracle: Any  # an Oracle, whose protocol reads this module

    def grad(
        self, params: PyTree, which: Which = 0, of: str = "loss", weights: jax.Array | None = None
    ) -> tuple[PyTree, PyTree]:
        """The gradient of a loss on some of this node's data, and the second output of the loss.

        Args:
          params: the model.
          which: the examples: a number k for minibatch k of this round, `FULL`, `Part(i, parts)` or `PUBLIC(k)`.
          of: the name of the loss, a method of the problem.
          weights: f[B], a factor on the loss of each example, or None.
        """
        return self._oracle.grad(self._data, params, which, of, weights)

    def loss(self, params: PyTree, which: Which = 0, of: str = "loss") -> jax.Array:
        """The loss on some of this node's data, f[]; see `grad`."""
        return self._oracle.loss(self._data, params, which, of)

    def losses(self, params: PyTree, which: Which = 0) -> Examples:
        """The loss of each example of a batch, with the example's place and class; see `grad`."""
        return self._oracle.losses(self._data, params, which)

    def hvp(self, params: PyTree, vector: PyTree, which: Which = 0, of: str = "loss") -> PyTree:
        """The Hessian of the loss on some of this node's data, times `vector`; see `grad`."""
        return self._oracle.hvp(self._data, params, vector, which, of)

    def predict(self, params: PyTree, inputs: PyTree) -> PyTree:
        """The outputs of a model, such as logits, which can be differentiated with respect to `params`."""
        return self._oracle.predict(self._data, params, inputs)

    def inputs(self, which: Which = 0) -> PyTree:
        """The inputs of some data, without labels; `PUBLIC(k)` names the public ones that all nodes have."""
        return self._oracle.inputs(self._data, which)

    def batch(self, which: Which = 0) -> PyTree:
        """Some of this node's data, as the problem hands them out."""
        return self._oracle.batch(self._data, which)

    def held_out(self, params: PyTree) -> dict[str, jax.Array]:
        """The metrics of a model on the examples that this node keeps aside and never trains on: "loss", "accuracy"."""
        return self._oracle.held_out(self._data, params)

    def prox(self, params: PyTree, step: float | jax.Array) -> PyTree:
        """`argmin_x f_i(x) + ||x - params||^2 / (2 step)`, exactly, over all data of this node."""
        return self._oracle.prox(self._data, params, step)

    @property
    def width(self) -> int:
        """The number of places for a node's examples: a state with a number for each example has f[width]."""
        return self._oracle.width(self._data)
