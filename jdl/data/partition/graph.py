"""The worst place for data in a graph: each label in one stretch of it."""

from __future__ import annotations

import dataclasses

import numpy as np

from jdl import checks
from jdl.data.partition.table import Partition, classes_and_nodes, table

__all__ = ["AlongGraph"]


@dataclasses.dataclass(frozen=True, eq=False)  # the order is an array
class AlongGraph:
    """Examples are sorted by label and laid out along the ids of nodes: the worst case for gossip on a ring.

    Neighbours hold the same label, so what a node averages with is as one-sided as itself, and to meet another label
    news must pass a whole stretch of nodes. The same pieces dealt at random are `Shards` with one shard a node.

    That neighbours in id are neighbours holds on a ring, a path, or a torus, not on a random graph: there this is no
    worse than `Shards`, unless `order` is given, such as the order of the eigenvector of W's second largest eigenvalue,
    `np.argsort(np.linalg.eigh(W)[1][:, -2])` for symmetric W.

    Args:
      order: i32[n], all ids in the order of another path through the graph (a walk in depth first, say); by default
        0, 1, ..., n - 1.

    Raises:
      InputError: an order that is not a permutation of the nodes, or labels that are not classes.

    >>> labels = np.array([1, 0, 1, 0, 2, 2])
    >>> [labels[row].tolist() for row in AlongGraph()(labels, nodes=3).indices]
    [[0, 0], [1, 1], [2, 2]]
    >>> [labels[row].tolist() for row in AlongGraph(order=np.array([0, 2, 1]))(labels, nodes=3).indices]
    [[0, 0], [2, 2], [1, 1]]
    """

    order: np.ndarray | None = None

    def __call__(self, labels: np.ndarray, nodes: int, seed: int = 0) -> Partition:
        """Divide examples over nodes.

        Args:
          labels: i32[N], the class of each example.
          nodes: how many nodes share them. More nodes than examples leaves nodes between without data.
          seed: names which examples of a label go to which of its nodes. Nothing else is random.
        """
        labels, nodes = classes_and_nodes(labels, nodes)
        order = np.arange(nodes) if self.order is None else np.asarray(self.order)
        checks.require(
            order.shape == (nodes,) and order.dtype.kind in "iu" and np.array_equal(np.sort(order), np.arange(nodes)),
            f"got an order of shape {order.shape} and type {order.dtype}, need each of the ids 0 to {nodes - 1} once; "
            f"try order=np.random.default_rng(0).permutation({nodes}), or leave it out",
        )
        rng = np.random.default_rng(checks.whole("seed", seed, 0))
        shuffled = rng.permutation(labels.size)
        owner = np.empty(labels.size, np.int64)
        piece = np.arange(labels.size) * nodes // labels.size
        owner[shuffled[np.argsort(labels[shuffled], kind="stable")]] = order[piece]
        return table(owner, nodes)
