"""The links of a networkx graph, a sparse matrix or a file, and the weights on them."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from scipy.sparse import csgraph, csr_array, issparse, sparray, spmatrix

from jdl import checks
from jdl.topology import forms
from jdl.topology.weights.node_numbers import say_order

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Graph", "Links", "links_of", "require_connected", "require_undirected", "say_names", "weights_of"]

Graph: TypeAlias = "nx.Graph | sparray | spmatrix"


class Links(NamedTuple):
    """Weighted links as a file lists them.

    Attributes:
      matrix: `csr_array [n, n]`; entry [i, j] is the weight of the link from sender j to receiver i, diagonal included;
        1 where the file has no weights.
    """

    matrix: csr_array


def links_of(graph: Graph | Links) -> csr_array:
    """0/1 `csr_array [n, n]` with a one at (receiver, sender) of every link, in the order of W; self-loops left out.

    An edge (u, v) of a directed graph, or a one at [u, v] of an adjacency matrix, lets u send to v: the result is its
    transpose.

    Args:
      graph: networkx graph, square sparse 0/1 adjacency matrix, or `Links`.

    Raises:
      InputError: if `graph` is neither a networkx graph nor a square sparse 0/1 matrix, or is empty.

    >>> print(links_of(csr_array([[0, 1, 1], [0, 0, 1], [1, 0, 0]])).toarray())
    [[0. 0. 1.]
     [1. 0. 0.]
     [1. 1. 0.]]
    """
    if isinstance(graph, Links):
        links = forms.off_diagonal(graph.matrix)
        links.data[:] = 1  # without their weights
        return links
    matrix = graph if issparse(graph) else _of_networkx(graph, None)
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] >= 1
    checks.require(square, f"got an adjacency of shape {matrix.shape}, need [n, n], n >= 1; give a row to every node")
    links = forms.off_diagonal(csr_array(csr_array(matrix, dtype=np.float64).T))
    other = "got an adjacency with entries other than 0 and 1, need a one for every edge; for weights use from_weights"
    checks.require(bool(np.all(links.data == 1)), other)
    return links


def weights_of(graph: Graph | Links) -> csr_array | None:
    """The weights of the links of `links_of`, diagonal included; None if all are 1, which carries no information.

    The weights of a networkx graph are the attribute "weight" of its edges; those of parallel edges are added.

    Args:
      graph: networkx graph, square sparse 0/1 adjacency matrix, or `Links`.

    Raises:
      InputError: if weights are not finite numbers, or if some edges have one and others do not.
    """
    if isinstance(graph, Links):
        matrix = graph.matrix
    elif issparse(graph):
        return None  # zeros and ones
    else:
        weights = [weight for _, _, weight in graph.edges(data="weight")]
        having = [weight for weight in weights if weight is not None]
        if not having:
            return None
        got = f"got a graph with a weight on {len(having)} of its {len(weights)} edges, need one on each or on none"
        checks.require(len(having) == len(weights), f"{got}; leave them out: nx.Graph(graph.edges)")
        odd = [weight for weight in having if not isinstance(weight, numbers.Real)]
        got = f"got a graph with the weight {odd[0] if odd else None!r}, need a number on every edge"
        checks.require(not odd, f"{got}; leave them out: nx.Graph(graph.edges)")
        matrix = csr_array(_of_networkx(graph, "weight").T)
    checks.require(bool(np.isfinite(matrix.data).all()), "got weights of edges that are not finite; leave them out")
    return None if np.all(matrix.data == 1) else matrix


def say_names(graph: Graph | Links) -> None:
    """Print a note on the order of the nodes of a networkx graph that are not named 0 to n - 1: names are not kept."""
    if not isinstance(graph, Links) and not issparse(graph) and set(graph) != set(range(len(graph))):
        say_order([str(node) for node in graph], "the graph")


def _of_networkx(graph: nx.Graph, weight: str | None) -> csr_array:
    import networkx as nx

    need = "need a networkx graph or a sparse adjacency; for a matrix of weights use from_weights"
    checks.require(isinstance(graph, nx.Graph), f"got a {type(graph).__name__}, {need}")
    checks.require(len(graph) > 0, "got a graph without nodes, need at least one; add some")
    order = range(len(graph)) if set(graph) == set(range(len(graph))) else list(graph)
    matrix = csr_array(nx.to_scipy_sparse_array(graph, order, weight=weight, dtype=np.float64))
    if weight is None:
        matrix.data = np.ones_like(matrix.data)  # parallel edges of a multigraph are one link
    return matrix


def require_undirected(links: csr_array, need: str) -> None:
    """Check that every link has its reverse.

    Args:
      links: 0/1 `csr_array [n, n]`.
      need: second half of the error message, which begins with "need".

    Raises:
      InputError: if some link has no reverse.
    """
    checks.require((links != links.T).nnz == 0, f"got a directed graph, {need}")


def require_connected(links: csr_array, allow_disconnected: bool) -> None:
    """Check that every node can reach every other one along the links, unless `allow_disconnected`.

    Raises:
      InputError: if some node cannot reach every other one.
    """
    count, _ = csgraph.connected_components(links != 0, directed=True, connection="strong")
    need = f"got a graph of {count} components, need a (strongly) connected one; link them, or allow_disconnected=True"
    checks.require(allow_disconnected or count == 1, need)
