"""Trees: star, binary tree, and trees with any number of children. `chain` is the tree with one child."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.topology.graphs.linked import linked
from jdl.topology.topology import Topology

__all__ = ["binary_tree", "star", "tree"]


def star(n: int) -> Topology:
    """Node 0 talks to all others, and these talk only to node 0.

    W = 1/n on every edge, 1 - 1/n on every leaf. The eigenvalues are 1, 1 - 1/n for n - 2 times, and 0, so
    lambda_2 = 1 - 1/n for n >= 3: although two steps reach every node, the gap closes like 1 / n.

    Sends:
      n - 1 messages a round from node 0, 1 from every other node.

    Args:
      n: number of nodes, at least 1.

    >>> star(8)
    <star: 8 nodes, 7 edges, degree 1 to 7, doubly stochastic, symmetric>

    References:
      Xiao, Boyd, "Fast linear iterations for distributed averaging", Systems & Control Letters 53, 2004 (why equal
      weights on a star are slow).
    """
    n = checks.whole("n", n, 1)

    def spectrum() -> np.ndarray:
        return np.concatenate([[1.0], np.full(max(0, n - 2), 1 - 1 / n), [0.0]])[:n]

    leaves = np.arange(1, n)
    return linked("star", n, np.stack([np.zeros_like(leaves), leaves], axis=1), spectrum)


def binary_tree(n: int) -> Topology:
    """Every node talks to its parent and its two children: node i > 0 is a child of node (i - 1) // 2.

    Levels are filled one after the other, the last one from the left, so n is arbitrary. The weights are Metropolis
    weights, 1/4 between inner nodes, without a closed-form spectrum. Half of the nodes are connected to the other side
    of the root by one edge: the gap closes like 1 / n.

    Sends:
      3 messages per node and round, 2 from the root, 1 from a leaf.

    Args:
      n: number of nodes, at least 1.

    >>> binary_tree(7)
    <binary_tree: 7 nodes, 6 edges, degree 1 to 3, doubly stochastic, symmetric>

    References:
      Vogels, He, Koloskova, Lin, Karimireddy, Stich, Jaggi, "RelaySum for Decentralized Deep Learning on Heterogeneous
      Data", NeurIPS 2021 (their trees hang one more node above the root).
    """
    return below_parents("binary_tree", n, 2)


def tree(n: int, children: int = 3) -> Topology:
    """Every node talks to its parent and its `children` children: node i > 0 is a child of node (i - 1) // children.

    Levels are filled one after the other, the last one from the left, so n is arbitrary. The weights are Metropolis
    weights, 1 / (children + 2) between inner nodes, without a closed-form spectrum. The gap closes like 1 / n: see
    `binary_tree`.

    Sends:
      children + 1 messages per node and round, one less from the root, 1 from a leaf.

    Args:
      n: number of nodes, at least 1.
      children: number of children of each inner node, at least 1; 1 makes a chain, n - 1 a star.

    >>> tree(13, children=3)
    <tree: 13 nodes, 12 edges, degree 1 to 4, doubly stochastic, symmetric>
    """
    return below_parents("tree", n, checks.whole("children", children, 1))


def below_parents(name: str, n: int, children: int) -> Topology:
    """The tree of n nodes in which node i > 0 is the child of node (i - 1) // children."""
    n = checks.whole("n", n, 1)
    node = np.arange(1, n)
    return linked(name, n, np.stack([(node - 1) // children, node], axis=1))
