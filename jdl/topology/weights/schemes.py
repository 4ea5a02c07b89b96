"""Mixing weights from a formula: the W of each scheme on a graph.

`links` is the 0/1 `csr_array [n, n]` of `adjacency.links_of`, with a one where the row's node hears the column's node.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csgraph, csr_array, diags_array, eye_array

from jdl import checks
from jdl.topology.spectrum.eigenvalues import extremes
from jdl.topology.topology import Topology, fourier
from jdl.topology.weights.adjacency import Graph, links_of, require_undirected

__all__ = ["best_constant", "column", "data_size", "max_degree", "metropolis", "row", "sinkhorn"]

MOST_SWEEPS = 10_000
CLOSE = 1e-12


def metropolis(graph: Graph) -> csr_array:
    """Metropolis weights of an undirected graph: symmetric and doubly stochastic, from the degrees alone.

    W_ij = 1 / (1 + max(d_i, d_j)) on edges, W_ii = 1 - sum_j W_ij. Edge weights and self-loops are ignored.

    Args:
      graph: undirected networkx graph, or its symmetric 0/1 adjacency as a SciPy sparse matrix `[n, n]`. Labels 0 to
        n - 1 are the rows; other labels get rows in the graph's order.

    Returns:
      `csr_array [n, n]`.

    >>> import networkx as nx
    >>> print(metropolis(nx.star_graph(2)).toarray().round(2))
    [[0.33 0.33 0.33]
     [0.33 0.67 0.  ]
     [0.33 0.   0.67]]

    References:
      Xiao, Boyd, Lall, "A scheme for robust distributed sensor fusion based on average consensus", IPSN 2005.
    """
    links = links_of(graph)
    _require_undirected(links, "Metropolis")
    links, degree = links.tocoo(), _degree(links)
    share = 1 / (1 + np.maximum(degree[links.row], degree[links.col]))
    return _rest_to_self(csr_array((share, (links.row, links.col)), shape=links.shape))


def max_degree(links: csr_array) -> csr_array:
    """W = I - L / (1 + largest degree): symmetric, one weight for all edges; 1 / (degree + 1) on a regular graph."""
    _require_undirected(links, "max_degree")
    return _rest_to_self(links / (1 + _degree(links).max()))


def best_constant(links: csr_array, shifts: tuple[int, ...] | None = None) -> csr_array:
    """W = I - a L with the a that mixes fastest, 2 / (lambda_2(L) + lambda_n(L)).

    lambda_2(L) and lambda_n(L) are the extreme eigenvalues of the Laplacian other than 0. W is symmetric; the weights
    of nodes on themselves may be negative. The spectral norm of W - J is (lambda_n - lambda_2) / (lambda_n + lambda_2).

    Args:
      links: 0/1 `csr_array [n, n]`.
      shifts: cyclic shifts of a circulant graph, to use its Fourier transform, or None.
    """
    _require_undirected(links, "best_constant")
    if links.nnz == 0:
        return _rest_to_self(links)
    step = 1 / (1 + float(_degree(links).max()))
    matrix = _rest_to_self(step * links)
    spectrum = None if shifts is None else lambda: fourier(matrix).real
    second, smallest = extremes(Topology("probe", matrix, symmetric=True, spectrum=spectrum))  # 1 - step lambda(L)
    return _rest_to_self(2 * step / (2 - second - smallest) * links)


def row(links: csr_array) -> csr_array:
    """W_ij = 1 / (1 + in-degree of i): receivers average equally over themselves and their senders; row stochastic."""
    return csr_array(diags_array(1 / (1 + _degree(links))) @ (links + eye_array(links.shape[0])))


def column(links: csr_array) -> csr_array:
    """W_ij = 1 / (1 + out-degree of j): senders split evenly over themselves and their receivers; column stochastic."""
    return csr_array((links + eye_array(links.shape[0])) @ diags_array(1 / (1 + links.sum(axis=0))))


def sinkhorn(links: csr_array) -> csr_array:
    """The doubly stochastic D (I + A) E with diagonal D and E: rows and columns of I + A are scaled in turn.

    It exists and is unique if every link lies on a cycle: then I + A has total support.

    References:
      Sinkhorn, Knopp, "Concerning nonnegative matrices and doubly stochastic matrices", Pacific J. Math. 21, 1967.
    """
    strong, weak = (csgraph.connected_components(links, connection=how)[0] for how in ("strong", "weak"))
    one_way = "got a graph with links that lie on no cycle, which no doubly stochastic W can use"
    checks.require(strong == weak, f'{one_way}; try scheme "row" or "column", or leave these links out')
    matrix = csr_array(links + eye_array(links.shape[0]))
    for _ in range(MOST_SWEEPS):
        matrix = diags_array(1 / matrix.sum(axis=1)) @ matrix
        sums = matrix.sum(axis=0)
        matrix = csr_array(matrix @ diags_array(1 / sums))
        if np.abs(matrix.sum(axis=1) - 1).max() <= CLOSE:
            return matrix
    slow = f"got a graph on which {MOST_SWEEPS:,} sweeps leave rows that do not sum to one within {CLOSE}"
    raise checks.InputError(f'{slow}, need one that settles sooner; try scheme "row" or "column"')


def data_size(links: csr_array, sizes: np.ndarray | None) -> csr_array:
    """Metropolis-Hastings: a row stochastic W whose stationary distribution is proportional to `sizes: [n]`.

    W_ij = min(1 / (1 + d_i), (s_j / s_i) / (1 + d_j)) on edges and W_ii = 1 - sum_j W_ij. Then s_i W_ij = s_j W_ji, so
    that s W = s, and gossip converges to the mean weighted by size. Equal sizes give Metropolis weights.

    References:
      Hastings, "Monte Carlo sampling methods using Markov chains and their applications", Biometrika 57, 1970.
    """
    _require_undirected(links, "data_size")
    n = links.shape[0]
    given = 'got scheme "data_size" without sizes, need the number of examples of each node'
    checks.require(sizes is not None, f'{given}; try weighted(topology, "data_size", sizes)')
    sizes = np.asarray(sizes, dtype=np.float64)
    shape = f"got sizes of shape {sizes.shape}, need ({n},) for n={n}; give one number for each node"
    checks.require(sizes.shape == (n,), shape)
    positive = bool(np.all((sizes > 0) & np.isfinite(sizes)))
    checks.require(
        positive, 'got sizes that are not all positive, need examples on every node; try scheme "metropolis"'
    )
    links, degree = links.tocoo(), _degree(links)
    there = sizes[links.col] / sizes[links.row] / (1 + degree[links.col])
    share = np.minimum(1 / (1 + degree[links.row]), there)
    return _rest_to_self(csr_array((share, (links.row, links.col)), shape=links.shape))


def _degree(links: csr_array) -> np.ndarray:
    return np.diff(links.indptr)


def _rest_to_self(off: csr_array) -> csr_array:
    return csr_array(off + diags_array(1 - off.sum(axis=1)))


def _require_undirected(links: csr_array, scheme: str) -> None:
    require_undirected(links, f'{scheme} weights need an undirected one; try scheme "row", "column" or "sinkhorn"')
