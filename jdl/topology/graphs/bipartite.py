"""Bipartite graphs: two sides without edges inside a side. `social_network` is another one."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from jdl import checks
from jdl.topology.topology import Topology

__all__ = ["complete_bipartite"]


def complete_bipartite(n: int, left: int | None = None) -> Topology:
    """Every node talks to all nodes of the other side, and to none of its own side.

    Nodes 0 ... left - 1 are the first side. With a <= b nodes on the sides and m = b + 1, W = 1 / m on every edge. The
    eigenvalues are 1; 1 / m for a - 1 times; 1 - a / m for b - 1 times; (1 - a) / m. For two equal sides
    lambda_2 = (a - 1) / (a + 1), and the gap closes like 4 / n, because the two sides nearly exchange their means.

    Sends:
      one message per node and round to each node of the other side.

    Args:
      n: number of nodes, at least 2.
      left: number of nodes of the first side, at least 1 and less than n; by default n // 2. 1 gives a star.

    >>> complete_bipartite(6)
    <complete_bipartite: 6 nodes, 9 edges, degree 3, doubly stochastic, symmetric>
    """
    n = checks.whole("n", n, 2, "a bipartite graph needs")
    left = n // 2 if left is None else checks.whole("left", left, 1)
    checks.require(left < n, f"got left={left} with n={n}, a bipartite graph needs two sides; try left={n - 1}")
    right = n - left
    checks.fits(24 * left * right, f"a complete bipartite graph with n={n:,}")  # edges are stored twice, 12 bytes each
    a, m = min(left, right), max(left, right) + 1
    # Columns in order: the node itself comes before or after the other side.
    split, starts = left * (1 + right), np.cumsum([0] + [1 + right] * left + [1 + left] * right)
    columns, shares = np.empty(starts[-1], np.int32), np.full(starts[-1], 1 / m)
    above, below = columns[:split].reshape(left, 1 + right), columns[split:].reshape(right, 1 + left)
    above[:, 0], above[:, 1:], below[:, :-1], below[:, -1] = range(left), range(left, n), range(left), range(left, n)
    shares[starts[:left]], shares[starts[left + 1 :] - 1] = 1 - right / m, 1 - left / m
    weights = csr_array((shares, columns, starts), shape=(n, n))

    def spectrum() -> np.ndarray:
        return np.array([1] + [1 / m] * (a - 1) + [1 - a / m] * (m - 2) + [(1 - a) / m])

    return Topology("complete_bipartite", weights, symmetric=True, spectrum=spectrum)
