"""Mixing weights for a graph, and graphs and weights of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csgraph, csr_array, diags_array, issparse

from jdl import checks
from jdl.topology import forms
from jdl.topology.topology import Topology

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["check_weights", "from_graph", "from_weights", "metropolis"]

KINDS = ("column", "doubly", "row")


def metropolis(graph: nx.Graph) -> csr_array:
    """Metropolis weights of an undirected graph: symmetric and doubly stochastic, from the degrees alone.

    W_ij = 1 / (1 + max(d_i, d_j)) on edges, W_ii = 1 - sum_j W_ij. Edge weights and self-loops are ignored.

    Args:
      graph: undirected networkx graph. Labels 0 to n - 1 are the rows; other labels get rows in the graph's order.

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
    links = adjacency(graph).tocoo()
    need = "got a directed graph, Metropolis weights need an undirected one; try from_graph(graph)"
    checks.require(not graph.is_directed(), need)
    degree = np.bincount(links.row, minlength=links.shape[0])
    share = 1 / (1 + np.maximum(degree[links.row], degree[links.col]))
    off = csr_array((share, (links.row, links.col)), shape=links.shape)
    return csr_array(off + diags_array(1 - off.sum(axis=1)))


def check_weights(W: Any, kind: str = "doubly") -> None:
    """Raise a sentence unless W is a square matrix whose rows, columns or both sum to one, as `kind` claims.

    Negative weights pass: fast linear iterations have them. Sums may be off by the square root of the rounding unit.

    Args:
      W: `[n, n]` array or scipy sparse matrix, `W[i, j]` what receiver i gives to sender j.
      kind: "doubly", "row" or "column" stochastic.

    >>> check_weights([[0.5, 0.5], [0.25, 0.75]], kind="row")
    >>> check_weights([[0.5, 0.5], [0.25, 0.75]])
    Traceback (most recent call last):
    jdl.checks.InputError: got W with column 0 summing to 0.75, need row and column sums of 1 for kind="doubly"; try \
kind="row", which fits
    """
    as_matrix(W, kind)


def from_graph(graph: nx.Graph, name: str = "graph", allow_disconnected: bool = False) -> Topology:
    """The topology of your own networkx graph.

    Undirected: Metropolis weights, doubly stochastic. Directed, where an edge (u, v) lets u send to v: every node
    splits its mass evenly, W_ij = 1 / (1 + outdegree_j) on edges and the diagonal, column stochastic.

    Args:
      graph: see `metropolis`.
      name: how tables and plots call it.
      allow_disconnected: accept a graph whose nodes cannot all reach each other.

    >>> import networkx as nx
    >>> from_graph(nx.star_graph(4), name="star")
    <star: 5 nodes, 4 edges, degree 1 to 4, doubly stochastic, symmetric>
    """
    links = adjacency(graph)
    require_connected(links, allow_disconnected)
    if not graph.is_directed():
        return Topology(name, metropolis(graph), "doubly", symmetric=True)
    share = diags_array(1 / (1 + links.sum(axis=1)))
    return Topology(name, csr_array(links.T @ share + share), "column")


def from_weights(W: Any, kind: str = "doubly", name: str = "weights", allow_disconnected: bool = False) -> Topology:
    """The topology of your own mixing matrix.

    Links are the off-diagonal weights that are not zero. A W that is symmetric up to rounding is made so exactly.

    Args:
      W: `[n, n]` array or scipy sparse matrix, `W[i, j]` what receiver i gives to sender j.
      kind: "doubly", "row" or "column" stochastic, which is checked.
      name: how tables and plots call it.
      allow_disconnected: accept weights under which some nodes cannot reach each other.

    >>> from_weights([[0.75, 0.25], [0.25, 0.75]])
    <weights: 2 nodes, 1 edge, degree 1, doubly stochastic, symmetric>
    """
    matrix, tolerance = as_matrix(W, kind)
    require_connected(forms.off_diagonal(matrix), allow_disconnected)
    symmetric = abs(matrix - matrix.T).max() <= tolerance
    matrix = csr_array((matrix + matrix.T) / 2) if symmetric else matrix
    return Topology(name, matrix, "doubly" if symmetric else kind, bool(symmetric))


def as_matrix(W: Any, kind: str) -> tuple[csr_array, float]:
    """W as float64 csr, checked to be stochastic as claimed, and the rounding that its own dtype allows."""
    kind = checks.known("kind", kind, KINDS)
    W = W if issparse(W) else np.asarray(W)
    square = W.ndim == 2 and W.shape[0] == W.shape[1] >= 1
    checks.require(square, f"got W of shape {W.shape}, need a square matrix [n, n]; pass one row and one column a node")
    tolerance = float(np.sqrt(np.finfo(W.dtype).eps)) if np.issubdtype(W.dtype, np.floating) else 0.0
    matrix = csr_array(W, dtype=np.float64, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()

    errors = {"row": np.abs(matrix.sum(axis=1) - 1), "column": np.abs(matrix.sum(axis=0) - 1)}
    fits = [axis for axis, error in errors.items() if np.all(error <= tolerance)]  # NaN fits neither
    claimed = ["row", "column"] if kind == "doubly" else [kind]
    for axis in (axis for axis in claimed if axis not in fits):
        worst = int(np.argmax(errors[axis]))
        total = matrix.sum(axis=1 if axis == "row" else 0)[worst]
        need = f'{" and ".join(claimed)} sums of 1 for kind="{kind}"'
        do = f'kind="{fits[0]}", which fits' if fits else "metropolis(graph), or divide by the sums"
        raise checks.InputError(f"got W with {axis} {worst} summing to {total:.6g}, need {need}; try {do}")
    return matrix, tolerance


def adjacency(graph: nx.Graph) -> csr_array:
    """0/1 `csr_array [n, n]` with a one at (u, v) for every edge u to v, self-loops left out."""
    import networkx as nx

    kind = type(graph).__name__
    checks.require(isinstance(graph, nx.Graph), f"got a {kind}, need a networkx graph; for a matrix use from_weights")
    checks.require(len(graph) > 0, "got a graph without nodes, need at least one; add some")
    order = range(len(graph)) if set(graph) == set(range(len(graph))) else list(graph)
    links = forms.off_diagonal(csr_array(nx.to_scipy_sparse_array(graph, order, weight=None)))
    links.data = np.ones_like(links.data)  # parallel edges of a multigraph are one link
    return links


def require_connected(links: csr_array, allow_disconnected: bool) -> None:
    """A sentence if some node cannot reach every other along the links."""
    count, _ = csgraph.connected_components(links != 0, directed=True, connection="strong")
    need = f"got a graph of {count} components, need a (strongly) connected one; link them, or allow_disconnected=True"
    checks.require(allow_disconnected or count == 1, need)
