"""Graphs made of cliques: complete, two cliques, barbell, caveman."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.topology.graphs.linked import cliques_linked, linked
from jdl.topology.topology import Topology, grouped

__all__ = ["barbell", "caveman", "complete", "two_cliques"]


def complete(n: int) -> Topology:
    """Every node talks to every other one: exact averaging in one round.

    W = J, the matrix with all entries 1/n. Its eigenvalues are 1 once and 0 for n - 1 times, so lambda_2 = 0.

    Sends:
      n - 1 messages per node and round.

    Args:
      n: number of nodes, at least 1.

    >>> complete(4)
    <complete: 4 nodes, 6 edges, degree 3, doubly stochastic, symmetric>
    """
    return grouped("complete", np.zeros(checks.whole("n", n, 1), int))


def two_cliques(n: int) -> Topology:
    """Two halves, each a complete graph, joined by one edge: the smallest cut that n nodes can have.

    The edge joins nodes 0 and n // 2, the first nodes of the halves. The weights are Metropolis weights. With equal
    halves of m >= 2 nodes, the eigenvalues are 1; 1 / (m + 1); 1 / (m (m + 1)) for n - 4 times; and (m +- sqrt(m^2 + 4
    m - 4)) / (2 (m + 1)), the larger of which is lambda_2. The gap closes like 8 / n^2.

    Sends:
      n / 2 - 1 messages per node and round, one more from the two ends of the edge.

    Args:
      n: number of nodes, at least 2; if n is odd the second clique has one more.

    >>> two_cliques(8)
    <two_cliques: 8 nodes, 13 edges, degree 3 to 4, doubly stochastic, symmetric>

    References:
      Vogels, Hendrikx, Jaggi, "Beyond spectral gap: the role of the topology in decentralized learning", NeurIPS 2022.
    """
    n = checks.whole("n", n, 2, "two cliques need")
    m = n // 2
    groups = (np.arange(n) >= m).astype(int)
    return cliques_linked("two_cliques", groups, np.array([[0, m]]), lambda: joined_spectrum(m, 0, n - m))


def barbell(n: int, path: int | None = None) -> Topology:
    """Two cliques joined by a path; nodes are numbered along the first clique, the path and the second clique.

    The weights are Metropolis weights. All nodes of a clique except the one at its end are equivalent, so the spectrum
    is that of a tridiagonal matrix of path + 4 rows, and 1 / (m (m + 1)) for m - 2 times for a clique of m nodes. With
    a third of the nodes in each part the gap closes like 1 / n^2.

    Sends:
      about (n - path) / 2 messages per round from a node of a clique, 2 from a node of the path.

    Args:
      n: number of nodes, at least 2.
      path: number of nodes between the cliques, at most n - 2; by default n // 3. If n - path is odd the second clique
        has one more node.

    >>> barbell(12, path=4)
    <barbell: 12 nodes, 17 edges, degree 2 to 4, doubly stochastic, symmetric>
    """
    n = checks.whole("n", n, 2, "a barbell needs")
    path = n // 3 if path is None else checks.whole("path", path, 0)
    checks.require(path <= n - 2, f"got path={path} with n={n}, a barbell needs a node at each end; try path={n - 2}")
    first = (n - path) // 2
    node = np.arange(n)
    # Each node of the path is a clique of one node.
    groups = np.where(node < first, 0, np.where(node < first + path, node, n))
    along = np.arange(first - 1, first + path)
    ends = np.stack([along, along + 1], axis=1)
    return cliques_linked("barbell", groups, ends, lambda: joined_spectrum(first, path, n - path - first))


def joined_spectrum(left: int, path: int, right: int) -> np.ndarray:
    """The eigenvalues of two cliques joined by a path, with Metropolis weights: `float[left + path + right]`.

    Equivalent nodes form a class: the inner nodes of a clique, the node at its end, each node of the path. On vectors
    that are constant on classes W acts as the tridiagonal matrix of the weights between classes, sqrt(n_c n_d) W_cd.
    Vectors that sum to zero inside a clique, and are zero elsewhere, are eigenvectors themselves.
    """
    from scipy.linalg import eigvalsh_tridiagonal

    size = np.array([left - 1, 1, *[1] * path, 1, right - 1])
    degree = np.array([left - 1, left, *[2] * path, right, right - 1])
    size, degree = size[size > 0], degree[size > 0]
    share = 1 / (1 + np.maximum(degree[1:], degree[:-1]))
    out = np.zeros(len(size))  # the weight from a node to other classes
    out[:-1] += share * size[1:]
    out[1:] += share * size[:-1]
    classes = eigvalsh_tridiagonal(1 - out, share * np.sqrt(size[1:] * size[:-1]))
    inside = [np.full(max(0, m - 2), 1 / (m * (m + 1))) for m in (left, right)]
    return np.concatenate([classes, *inside])


def caveman(n: int, size: int = 5) -> Topology:
    """A ring of cliques, each of which gives up one edge for an edge to the previous clique (connected caveman graph).

    Nodes `k size ... k size + size - 1` are clique k; its first node talks to the last one of clique k - 1 instead of
    to the second one of its own. The weights are Metropolis weights, without a closed-form spectrum. For a fixed size
    the gap closes like 1 / n^2.

    Sends:
      size - 1 messages per node and round; one less from the second, one more from the last node of a clique.

    Args:
      n: number of nodes, a multiple of `size`, at least 2 size.
      size: number of nodes in a clique, at least 3.

    Raises:
      InputError: if n is not such a multiple; the message names the nearest one.

    >>> caveman(20, size=5)
    <caveman: 20 nodes, 40 edges, degree 3 to 5, doubly stochastic, symmetric>

    References:
      Watts, "Networks, dynamics, and the small-world phenomenon", American Journal of Sociology 105, 1999.
    """
    n, size = checks.whole("n", n, 1), checks.whole("size", size, 3, "a caveman graph needs")
    nearby = size * max(2, (2 * n + size) // (2 * size))
    need = f"got n={n} with size={size}, a caveman graph needs at least two full cliques; try n={nearby}"
    checks.require(n % size == 0 and n >= 2 * size, need)
    inside = np.stack(np.triu_indices(size, 1), axis=1)[1:]  # all pairs except (0, 1), which comes first
    start = np.arange(0, n, size)
    pairs = (start[:, None, None] + inside[None, :, :]).reshape(-1, 2)
    return linked("caveman", n, np.concatenate([pairs, np.stack([start, (start - 1) % n], axis=1)]))
