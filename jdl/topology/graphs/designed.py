"""Graphs whose links are chosen by measured delays, so that rounds are short."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from jdl import checks
from jdl.topology.graphs.linked import linked
from jdl.topology.graphs.tours import round_trip
from jdl.topology.topology import Topology

__all__ = ["designed_ring", "minimum_bottleneck_tree"]

MOST_NODES = 500  # the round trip takes n^3 work


def designed_ring(delays: Any, directed: bool = True) -> Topology:
    """A ring through all nodes whose links are fast: the round trip of Christofides' algorithm over measured delays.

    With links one way, a round takes the mean delay of the tour in the long run, or as long as the slowest node
    computes (`jdl.theory.cycle_time`); and the trip is at most 3/2 of the shortest one if delays obey the triangle
    inequality. Of both ways round, it goes the faster one. W_ij = 1/2 for i itself and the node before it; with links
    both ways, the Metropolis weights, 1/3.

    Sends:
      1 message a node and round; 2 with links both ways.

    Args:
      delays: `[n, n]`, the seconds from sender (column) to receiver (row), above 0; the diagonal is not read. Where the
        two ways differ, the tour is found for their mean. n is at most 500.
      directed: whether each node sends to the next one alone.

    Raises:
      InputError: if a delay is not positive and finite, or n too large.

    >>> line = np.abs(np.subtract.outer([0.0, 2, 1, 3], [0.0, 2, 1, 3]))
    >>> designed_ring(line).edges.tolist()
    [[0, 3], [1, 2], [2, 0], [3, 1]]

    References:
      Marfoq, Xu, Neglia, Vidal, "Throughput-Optimal Topology Design for Cross-Silo Federated Learning", NeurIPS 2020
      (RING). Of the authors' code, as another repository has it, the choice of the tour was read: it is found for
      delays without direction, and its links are used one way.
    """
    times = _checked(delays)
    n = len(times)
    checks.require(n <= MOST_NODES, f"got n={n}, a round trip takes n of at most {MOST_NODES}; try n={MOST_NODES}")
    order = round_trip((times + times.T) / 2)
    if times[np.roll(order, -1), order].sum() > times[order, np.roll(order, -1)].sum():
        order = order[::-1]
    after = np.roll(order, -1)
    if not directed or n <= 2:
        return linked("designed ring", n, np.stack([order, after], axis=1)[: n if n > 1 else 0])
    rows, columns = np.concatenate([after, order]), np.concatenate([order, order])
    return Topology("designed ring", csr_array((np.full(2 * n, 0.5), (rows, columns)), shape=(n, n)))


def minimum_bottleneck_tree(delays: Any, degree: int | None = None) -> Topology:
    """A tree whose slowest link is as fast as possible, with Metropolis weights.

    Every tree of least total delay is one, found by Prim's algorithm. With a bound on the degree of a node, for nodes
    whose lines are shared by their links, the problem is hard (for degree 2 the tree is a path through all nodes); then
    each node is attached by the fastest link to a node of the tree that has room, which need not be the best tree.

    Sends:
      at most `degree` messages a node and round, 2 (n - 1) in all.

    Args:
      delays: `[n, n]`, the seconds from sender (column) to receiver (row), above 0; the diagonal is not read. A link
        is used both ways, so that the slower way counts.
      degree: the largest degree of a node, at least 2; None for no bound.

    Raises:
      InputError: if a delay is not positive and finite.

    >>> line = np.abs(np.subtract.outer([0.0, 2, 1, 3], [0.0, 2, 1, 3]))
    >>> minimum_bottleneck_tree(line).edges.tolist()
    [[0, 2], [1, 2], [1, 3]]

    References:
      Marfoq, Xu, Neglia, Vidal, "Throughput-Optimal Topology Design for Cross-Silo Federated Learning", NeurIPS 2020
      (delta-MBST). The authors' code, as another repository has it, tries all degrees and keeps the tree of the least
      cycle time; here the caller chooses.
      Prim, "Shortest connection networks and some generalizations", Bell System Technical Journal 36, 1957.
    """
    times = _checked(delays)
    n = len(times)
    most = n if degree is None else checks.whole("degree", degree, 2)
    slower = np.maximum(times, times.T)
    np.fill_diagonal(slower, np.inf)
    best, to = slower[0].copy(), np.zeros(n, int)
    inside, links, pairs = np.arange(n) == 0, np.zeros(n, int), []
    for _ in range(n - 1):
        node = int(np.argmin(np.where(inside, np.inf, best)))
        pairs.append((to[node], node))
        links[[to[node], node]] += 1
        inside[node] = True
        closer = slower[node] < best
        best, to = np.where(closer, slower[node], best), np.where(closer, node, to)
        for full in {to[node] for node in np.flatnonzero(~inside)} if degree else ():
            if links[full] >= most:  # those that it was to be linked to look for another node with room
                room = np.where(inside & (links < most), slower, np.inf)
                waiting = to == full
                to[waiting], best[waiting] = np.argmin(room[waiting], axis=1), np.min(room[waiting], axis=1)
    return linked("minimum bottleneck tree", n, np.array(pairs, int).reshape(-1, 2))


def _checked(delays: Any) -> np.ndarray:
    """Delays as a matrix whose diagonal is zero."""
    times = np.array(delays, float)
    square = times.ndim == 2 and times.shape[0] == times.shape[1] >= 1
    checks.require(square, f"got delays of shape {times.shape}, need [n, n]; give one row and one column for each node")
    np.fill_diagonal(times, 0)
    wrong = np.argwhere(~(np.isfinite(times) & (times > 0)) & ~np.eye(len(times), dtype=bool))
    if len(wrong):
        receiver, sender = wrong[0].tolist()
        got = f"got a delay of {times[receiver, sender]} from node {sender} to node {receiver}"
        checks.require(False, f"{got}, need seconds above 0 for each pair; correct it")
    return times
