"""Graphs that link nodes whose labels are most different, or most alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csgraph

from jdl import checks
from jdl.topology.graphs.linked import adjacency, linked
from jdl.topology.topology import Topology

__all__ = ["label_neighbours"]

DISTANCES = ("total_variation", "hellinger")


def label_neighbours(
    histograms: Any, k: int = 3, farthest: bool = True, distance: str = "total_variation", connect: bool = True
) -> Topology:
    """Each node is linked to the k nodes whose label distributions differ most from its own, or least.

    The links are those of every node's own choice, both ways, with Metropolis weights: nodes that many others choose
    have more than k. The distance of two label distributions p and q is

    - total_variation: sum_l |p_l - q_l| / 2;
    - hellinger: the root of 1 - sum_l sqrt(p_l q_l), for which labels that are rare count more.

    Links to the farthest let neighbourhoods see the labels that a node lacks, as the cliques of `d_cliques` do; links
    to the nearest make groups of nodes that learn alike, as for models of their own. Of equal distances, the node of
    the lowest number is taken, counted from the own one on, so that nodes without differences make a circulant graph.

    Sends:
      at least k messages a node and round, about 2 k or less on average.

    Args:
      histograms: f[n, classes], the number of examples of each class on each node, or their shares. A node without
        examples is taken to have the distribution of all.
      k: nodes that each node chooses, between 1 and n - 1.
      farthest: whether nodes are linked to the most different ones (True), or to the most similar ones (False).
      distance: "total_variation" or "hellinger".
      connect: whether components are joined, until one is left, by the pair of two of them that is the farthest
        (or nearest) of all; without, a graph may fall apart, as similar nodes do.

    Raises:
      InputError: if histograms have another shape, or negative numbers, or if k does not fit.

    >>> labels = np.eye(4)[[0, 0, 1, 1, 2, 2]]
    >>> label_neighbours(labels, k=1, farthest=False, connect=False).edges.tolist()
    [[0, 1], [2, 3], [4, 5]]
    >>> label_neighbours(labels, k=1, farthest=False)
    <label_neighbours: 6 nodes, 5 edges, degree 1 to 3, doubly stochastic, symmetric>

    References:
      Bellet, Kermarrec, Lavoie, "D-Cliques: Compensating for Data Heterogeneity with Topology in Decentralized
      Federated Learning", SRDS 2022 (why neighbourhoods should resemble the whole; their graph is `d_cliques`).
    """
    share = _shares(histograms)
    n, k, distance = len(share), checks.whole("k", k, 1), checks.known("distance", distance, DISTANCES)
    most = max(n - 1, 1)
    checks.require(k <= most, f"got k={k} with n={n}, need at most n - 1 others; try k={most}")
    checks.fits(40 * n * n, f"the distances of n={n:,} nodes")
    apart = _distances(share, distance)
    cost = np.round(-apart if farthest else apart, 12)  # what is equal but for rounding is equal
    own = np.arange(n)
    further = (own[:, None] + np.arange(1, n)) % n  # the others, from the own number on
    order = np.argsort(np.take_along_axis(cost, further, axis=1), axis=1, kind="stable")[:, :k]
    chosen = np.take_along_axis(further, order, axis=1)
    pairs = np.stack([np.repeat(own, chosen.shape[1]), chosen.ravel()], axis=1)
    if connect and n > 1:
        pairs = np.concatenate([pairs, _joins(cost, pairs)])
    return linked("label_neighbours", n, pairs)


def _shares(histograms: Any) -> np.ndarray:
    """The label distribution of each node, f[n, classes]."""
    counts = np.asarray(histograms, float)
    shape = f"got histograms of shape {counts.shape}, need [n, classes]; count the examples of each class on each node"
    checks.require(counts.ndim == 2 and counts.size > 0, shape)
    good = bool(np.all(np.isfinite(counts) & (counts >= 0))) and counts.sum() > 0
    checks.require(good, "got histograms with negative or missing numbers, or none above 0; count examples")
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.where(total > 0, total, 1), counts.sum(axis=0) / counts.sum())


def _distances(share: np.ndarray, distance: str) -> np.ndarray:
    """f[n, n], class by class: no array of [n, n, classes] is made."""
    if distance == "hellinger":
        return np.sqrt(np.maximum(1 - np.sqrt(share) @ np.sqrt(share).T, 0))
    apart = np.zeros((len(share), len(share)))
    for one in share.T:
        apart += np.abs(one[:, None] - one[None, :])
    return apart / 2


def _joins(cost: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """i[e, 2], the pairs that join the components of a graph one after the other, those of the least cost first."""
    count, component = csgraph.connected_components(adjacency(len(cost), pairs), directed=False)
    if count == 1:
        return np.zeros((0, 2), int)
    # The cheapest pair between each two components, and a tree of these (Kruskal).
    order = np.argsort(cost, axis=None, kind="stable")
    one, other = np.unravel_index(order, cost.shape)
    first, second = component[one], component[other]
    key = np.minimum(first, second) * count + np.maximum(first, second)
    best = np.sort(np.unique(key, return_index=True)[1])
    parent, joins = list(range(count)), []

    def root(c: int) -> int:
        while parent[c] != c:
            c = parent[c]
        return c

    for place in best:
        a, b = root(int(first[place])), root(int(second[place]))
        if a != b:
            parent[a] = b
            joins.append((one[place], other[place]))
    return np.array(joins, int).reshape(-1, 2)
