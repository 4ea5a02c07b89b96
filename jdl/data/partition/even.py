"""Partitions alike for every node: examples dealt at random, or class by class."""

from __future__ import annotations

import dataclasses

import numpy as np

from jdl import checks
from jdl.data.partition.table import Partition, classes_and_nodes, examples_and_nodes, table

__all__ = ["IID", "Stratified"]


@dataclasses.dataclass(frozen=True)
class IID:
    """Examples are dealt at random; the numbers of examples of nodes differ by at most one.

    >>> sorted(IID()(np.zeros(10, np.int32), nodes=4).counts.tolist())
    [2, 2, 3, 3]
    """

    def __call__(self, labels: np.ndarray, nodes: int, seed: int = 0) -> Partition:
        """Divide examples over nodes.

        Args:
          labels: [N, ...], anything with a row for each example; only their number counts.
          nodes: how many nodes share them. More nodes than examples leaves random nodes without data.
          seed: names the draw.
        """
        labels, nodes = examples_and_nodes("labels", labels, nodes)
        rng = np.random.default_rng(checks.whole("seed", seed, 0))
        turn = rng.permutation(nodes)[np.arange(labels.shape[0]) % nodes]
        return table(rng.permutation(turn), nodes)


@dataclasses.dataclass(frozen=True)
class Stratified:
    """Every node has the same mixture of labels: counts of a class, and sizes, differ by at most one example.

    Examples, class after class, go to the nodes in turn. What is left of skew is rounding, so this is the control
    for what skewed labels do; under `IID` counts of a class vary as in a random sample.

    Raises:
      InputError: labels that are not classes.

    >>> labels = np.arange(1000) % 10
    >>> split = Stratified()(labels, nodes=20)
    >>> np.bincount(labels[split.indices[7]]).tolist()
    [5, 5, 5, 5, 5, 5, 5, 5, 5, 5]
    """

    def __call__(self, labels: np.ndarray, nodes: int, seed: int = 0) -> Partition:
        """Divide examples over nodes.

        Args:
          labels: i32[N], the class of each example.
          nodes: how many nodes share them. More nodes than examples leaves random nodes without data.
          seed: names the draw.
        """
        labels, nodes = classes_and_nodes(labels, nodes)
        rng = np.random.default_rng(checks.whole("seed", seed, 0))
        shuffled = rng.permutation(labels.size)
        in_classes = shuffled[np.argsort(labels[shuffled], kind="stable")]
        owner = np.empty(labels.size, np.int64)
        owner[in_classes] = rng.permutation(nodes)[np.arange(labels.size) % nodes]
        return table(owner, nodes)
