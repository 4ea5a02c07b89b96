"""Undirected graphs with Metropolis weights from pairs of node numbers, and random draws repeated until connected."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from scipy.sparse import csgraph, csr_array

from jdl import checks
from jdl.topology.topology import Topology
from jdl.topology.weights.weighted import metropolis

__all__ = ["DRAWS", "adjacency", "cliques_linked", "drawn", "linked"]

# If a draw succeeds with probability 1/10, this many in a row fail with probability below 3 in 100,000.
DRAWS = 100


def adjacency(n: int, pairs: np.ndarray) -> csr_array:
    """0/1 `csr_array [n, n]` of the undirected graph with the edges `pairs: int[e, 2]`; a pair may be listed twice."""
    ends = np.concatenate([pairs, pairs[:, ::-1]])
    links = csr_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(n, n))
    links.data[:] = 1
    return links


def linked(
    name: str,
    n: int,
    pairs: np.ndarray,
    spectrum: Callable[[], np.ndarray] | None = None,
    positions: np.ndarray | None = None,
) -> Topology:
    """The undirected graph with these edges and Metropolis weights.

    Args:
      name: name in tables and plots.
      n: number of nodes.
      pairs: `int[e, 2]`, the two ends of each edge; a pair that is listed twice counts once.
      spectrum: function that returns all eigenvalues of W, or None.
      positions: `float[n, 2]`, coordinates for drawing, or None.

    >>> linked("path", 3, np.array([[0, 1], [1, 2]]))
    <path: 3 nodes, 2 edges, degree 1 to 2, doubly stochastic, symmetric>
    """
    weights = metropolis(adjacency(n, pairs))
    return Topology(name, weights, symmetric=True, spectrum=spectrum, positions=positions)


def cliques_linked(
    name: str, groups: np.ndarray, pairs: np.ndarray, spectrum: Callable[[], np.ndarray] | None = None
) -> Topology:
    """Cliques with edges between them and Metropolis weights.

    Args:
      name: name in tables and plots.
      groups: `int[n]`, the clique of each node.
      pairs: `int[e, 2]`, the edges between nodes of different cliques.
      spectrum: function that returns all eigenvalues of W, or None.
    """
    groups = np.unique(groups, return_inverse=True)[1]
    further = adjacency(len(groups), pairs)
    sizes = np.bincount(groups)
    members = np.split(np.argsort(groups, kind="stable"), np.cumsum(sizes)[:-1])
    count = sizes[groups] + np.diff(further.indptr)  # 1 + degree
    starts = np.concatenate([[0], np.cumsum(count)])
    checks.fits(12 * int(starts[-1]), f"the matrix of {name} with n={len(groups)} and {starts[-1]:,} links")
    # Built row by row without copies, since there may be n^2 / 2 links of twelve bytes each.
    columns, shares = np.empty(starts[-1], np.int32), np.empty(starts[-1])
    for node, (start, stop) in enumerate(itertools.pairwise(starts)):
        row = members[groups[node]]
        if count[node] > len(row):
            row = np.union1d(row, further.indices[further.indptr[node] : further.indptr[node + 1]])
        columns[start:stop], shares[start:stop] = row, 1 / np.maximum(count[node], count[row])
    weights = csr_array((shares, columns, starts), shape=(len(groups),) * 2)
    weights.setdiag(1 + weights.diagonal() - weights.sum(axis=1))
    return Topology(name, weights, symmetric=True, spectrum=spectrum)


def drawn(
    name: str,
    n: int,
    draw: Callable[[int], np.ndarray],
    seed: int,
    do: str,
    places: Callable[[int], np.ndarray] | None = None,
) -> Topology:
    """The first connected graph among the draws with seed, seed + 1, ..., with Metropolis weights.

    Args:
      name: name in tables and plots.
      n: number of nodes.
      draw: function of a seed that returns edges `int[e, 2]`.
      seed: first seed to try.
      do: last part of the error message: what to try if all draws are disconnected.
      places: function of a seed that returns positions `float[n, 2]`, or None.

    Raises:
      InputError: if `DRAWS` graphs in a row are disconnected.
    """
    for number in range(seed, seed + DRAWS):
        pairs = draw(number)
        if csgraph.connected_components(adjacency(n, pairs), directed=False, return_labels=False) == 1:
            return linked(name, n, pairs, positions=places(number) if places else None)
    raise checks.InputError(f"got {DRAWS} disconnected graphs in a row with n={n}, need a connected one; {do}")
