"""Partitions with few labels per node: Dirichlet proportions of each class, shards, a fixed number of classes."""

from __future__ import annotations

import dataclasses

import numpy as np

from jdl import checks
from jdl.data.partition.minimum import possible, with_minimum
from jdl.data.partition.table import Partition, classes_and_nodes, concentration, table

__all__ = ["ClassesPerNode", "Dirichlet", "Shards"]


@dataclasses.dataclass(frozen=True)
class Dirichlet:
    """Each class is split over the nodes in Dirichlet(alpha) proportions; a small alpha gives few labels per node.

    For each class with `N_c` examples, `p ~ Dirichlet(alpha, ..., alpha)` over the nodes, and node `i` gets
    `N_c p_i` of them, rounded down or up at random without bias (systematic sampling). Nodes hold different numbers of
    examples. With small alpha or many nodes some hold none, unless `minimum` is set: the draw is not repeated.

    Args:
      alpha: concentration, above 0; 100 gives nearly the same mixture everywhere, 0.05 one or two labels per node.
      minimum: smallest number of examples of a node. Nodes with fewer get what is missing at random from the examples
        that other nodes have above the minimum, so that the largest nodes give the most.

    Raises:
      InputError: `alpha` is not a finite number above 0, more than N examples are asked for, or labels that are not
        classes.

    >>> int(Dirichlet(alpha=0.05)(np.arange(1000) % 10, nodes=64).counts.sum())
    1000

    References:
      M. Yurochkin et al., "Bayesian Nonparametric Federated Learning of Neural Networks", ICML 2019, splits each
      class in this way. (Hsu, Qi and Brown, 2019, draw each node's mixture of classes instead: `DirichletPerNode`.)
    """

    alpha: float = 0.5
    minimum: int = 0

    def __post_init__(self) -> None:
        concentration(self.alpha)
        checks.whole("minimum", self.minimum, 0)

    def __call__(self, labels: np.ndarray, nodes: int, seed: int = 0) -> Partition:
        """Divide examples over nodes.

        Args:
          labels: i32[N], the class of each example.
          nodes: how many nodes share them.
          seed: names the draw.
        """
        labels, nodes = classes_and_nodes(labels, nodes)
        minimum = possible(self.minimum, nodes, labels.size)
        rng = np.random.default_rng(checks.whole("seed", seed, 0))
        owner = np.empty(labels.size, np.int64)
        for label in np.unique(labels):
            members = rng.permutation(np.flatnonzero(labels == label))
            ends = np.cumsum(rng.dirichlet(np.full(nodes, float(self.alpha))))
            # These are equally spaced points, shifted at random. Node i's interval has N_c p_i of them, to within one.
            points = (np.arange(members.size) + rng.random()) / members.size
            piece = np.minimum(np.searchsorted(ends, points, side="right"), nodes - 1)  # rounding may end below 1
            # Without the permutation, nodes with close ids would never share a class when nodes outnumber examples.
            owner[members] = rng.permutation(nodes)[piece]
        return table(with_minimum(owner, nodes, minimum, rng), nodes)


@dataclasses.dataclass(frozen=True)
class Shards:
    """Examples are sorted by label and cut into shards, which are dealt at random: few labels per node.

    Args:
      shards_per_node: number of shards of each node, about its number of labels. Sizes of shards differ by at most one.

    Raises:
      InputError: there are more shards than examples, or labels that are not classes.

    >>> Shards()(np.arange(1000) % 10, nodes=50).counts.tolist() == [20] * 50
    True

    References:
      B. McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", AISTATS 2017.
    """

    shards_per_node: int = 2

    def __post_init__(self) -> None:
        checks.whole("shards_per_node", self.shards_per_node, 1)

    def __call__(self, labels: np.ndarray, nodes: int, seed: int = 0) -> Partition:
        """Divide examples over nodes.

        Args:
          labels: i32[N], the class of each example.
          nodes: how many nodes share them.
          seed: names the draw.
        """
        labels, nodes = classes_and_nodes(labels, nodes)
        shards_per_node = self.shards_per_node
        total, most = nodes * shards_per_node, labels.size // shards_per_node
        fewer = f"nodes={most}" if most else f"shards_per_node={labels.size // nodes}"
        remedy = f"try {fewer}" if most or nodes <= labels.size else f"try nodes={labels.size} with shards_per_node=1"
        checks.require(
            total <= labels.size,
            f"got nodes={nodes} with shards_per_node={shards_per_node}, which makes {total} shards of {labels.size} "
            f"examples; need at least one example a shard; {remedy}, or the partition iid or dirichlet",
        )
        rng = np.random.default_rng(checks.whole("seed", seed, 0))
        dealt = rng.permutation(total) // shards_per_node
        shard = np.arange(labels.size) * total // labels.size
        owner = np.empty(labels.size, np.int64)
        owner[np.argsort(labels, kind="stable")] = dealt[shard]
        return table(owner, nodes)


@dataclasses.dataclass(frozen=True)
class ClassesPerNode:
    """Each node holds the same number of classes, drawn at random; a class is split evenly over its holders.

    Numbers of holders of classes differ by at most one, and no example is left out. If classes differ in size, so do
    nodes. Unlike with `Shards`, no node gets two pieces of one class, or a piece of two classes.

    Args:
      classes_per_node: number of classes that each node holds.

    Raises:
      InputError: more classes a node than there are, too few nodes to hold all classes, a class with fewer examples
        than holders, or labels that are not classes.

    >>> labels = np.arange(1000) % 10
    >>> split = ClassesPerNode(3)(labels, nodes=50)
    >>> {len(set(labels[row[:count]].tolist())) for row, count in zip(*split)}
    {3}
    """

    classes_per_node: int = 2

    def __post_init__(self) -> None:
        checks.whole("classes_per_node", self.classes_per_node, 1)

    def __call__(self, labels: np.ndarray, nodes: int, seed: int = 0) -> Partition:
        """Divide examples over nodes.

        Args:
          labels: i32[N], the class of each example.
          nodes: how many nodes share them.
          seed: names the draw.
        """
        labels, nodes = classes_and_nodes(labels, nodes)
        each = self.classes_per_node
        classes, members = np.unique(labels, return_inverse=True)
        sizes = np.bincount(members)
        # If the numbers of holders differ, the larger classes have one holder more.
        rng = np.random.default_rng(checks.whole("seed", seed, 0))
        rank = np.empty(classes.size, np.int64)
        rank[np.lexsort((rng.random(classes.size), -sizes))] = np.arange(classes.size)
        holders = nodes * each // classes.size + (rank < nodes * each % classes.size)
        _can_hold(nodes, each, sizes, holders)
        owner = np.empty(labels.size, np.int64)
        free = np.full(nodes, each)
        for done, label in enumerate(rng.permutation(classes.size)):
            # A node is chosen with odds free : left - free. So a node that needs all remaining classes is chosen, and a
            # full one is not. A choice exists at every step (Gale and Ryser), since numbers of holders differ by one
            # at most, and no node is free for more classes than are left.
            left = classes.size - done
            with np.errstate(divide="ignore"):
                score = np.log(free) - np.log(left - free) + rng.gumbel(size=nodes)
            chosen = rng.permutation(np.argpartition(-score, holders[label] - 1)[: holders[label]])
            free[chosen] -= 1
            examples = rng.permutation(np.flatnonzero(members == label))
            owner[examples] = chosen[np.arange(examples.size) % chosen.size]
        return table(owner, nodes)


def _can_hold(nodes: int, each: int, sizes: np.ndarray, holders: np.ndarray) -> None:
    got, classes = f"got nodes={nodes} with classes_per_node={each}", sizes.size
    checks.require(each <= classes, f"{got}, but there are {classes} classes; try classes_per_node={classes}")
    enough = -(-classes // each)
    need = f"{got}, which hold {nodes * each} classes of {classes}, and no example is left out; try nodes={enough}"
    checks.require(nodes * each >= classes, need)
    short = int(np.argmax(holders - sizes))
    most = int(sizes.min()) * classes // each
    fewer = f"nodes={most}" if most >= enough else f"classes_per_node=1 with nodes={classes}"
    checks.require(
        bool(np.all(holders <= sizes)),
        f"{got}, which makes {holders[short]} holders of a class of {sizes[short]} examples; need one for each; "
        f"try {fewer}, or the partition dirichlet",
    )
