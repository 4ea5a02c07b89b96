"""Data that belong to someone by nature: whole owners go to nodes."""

from __future__ import annotations

import dataclasses
import heapq

import numpy as np

from jdl import checks
from jdl.data.partition.table import Partition, comparable, examples_and_nodes, table

__all__ = ["ByOwner"]


@dataclasses.dataclass(frozen=True)
class ByOwner:
    """All examples of an owner (a speaker, a writer, a user) are on one node; owners share nodes, balanced by size.

    With as many nodes as owners each has one, at random. With fewer, the next largest owner goes to the node with the
    least so far; equal owners and equal nodes in random order (longest processing time first: the largest node is at
    most a third above the best that can be).

    Raises:
      InputError: more nodes than owners, or owners that are not one number or name for each example.

    >>> split = ByOwner()(np.array([5, 5, 5, 5, 8, 8, 9, 9]), nodes=2)
    >>> sorted(row.tolist() for row in split.indices)
    [[0, 1, 2, 3], [4, 5, 6, 7]]

    References:
      R. L. Graham, "Bounds on Multiprocessing Timing Anomalies", SIAM J. Applied Mathematics 1969, for the bound.
      S. Caldas et al., "LEAF: A Benchmark for Federated Settings", 2018 (arXiv:1812.01097), for data by owner.
    """

    def __call__(self, owners: np.ndarray, nodes: int, seed: int = 0) -> Partition:
        """Divide examples over nodes.

        Args:
          owners: i32[N], who each example belongs to; any numbers or names.
          nodes: how many nodes share them, at most as many as there are owners.
          seed: names the draw.
        """
        owners, nodes = examples_and_nodes("owners", owners, nodes)
        owners = comparable("owners", owners)
        checks.require(
            owners.ndim == 1 and owners.dtype.kind not in "fc",
            f"got owners of shape {owners.shape} and type {owners.dtype}, need a whole number or a name for each "
            "example, of shape [N]; try a data set with natural owners, or the partition iid",
        )
        names, members = np.unique(owners, return_inverse=True)
        have = f"{names.size} owner{'s' * (names.size != 1)}"
        checks.require(
            nodes <= names.size,
            f"got nodes={nodes} with {have}, need an owner for each node; try nodes={names.size}, any smaller number, "
            "or the partition iid",
        )
        rng = np.random.default_rng(checks.whole("seed", seed, 0))
        sizes = np.bincount(members)
        shuffled = rng.permutation(names.size)
        largest_first = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
        heap = [(0, place, node) for place, node in enumerate(rng.permutation(nodes).tolist())]
        node_of = np.empty(names.size, np.int64)
        for owner, size in zip(largest_first.tolist(), sizes[largest_first].tolist(), strict=True):
            load, place, node = heap[0]
            node_of[owner] = node
            heapq.heapreplace(heap, (load + size, place, node))
        return table(node_of[members], nodes)
