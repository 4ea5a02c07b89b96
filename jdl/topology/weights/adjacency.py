"""Who hears whom: the links of a networkx graph, a sparse matrix or a file, and the weights that they may have."""

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

    matrix: `csr_array [n, n]`, in row i, column j what the link from sender j to receiver i weighs, the diagonal
      included; 1 where the file has no weights.
    """

    matrix: csr_array


def links_of(graph: Graph | Links) -> csr_array:
    """0/1 `csr_array [n, n]` with a one at (receiver, sender) of every link, in the order of W; self-loops left out.

    An edge (u, v) of a directed graph, or a one at [u, v] of an adjacency, lets u send to v: the transpose.

    Raises:
      InputError: neither a networkx graph nor a square sparse 0/1 matrix, or nothing in it.

    >>> print(links_of(csr_array([[0, 1, 1], [0, 0, 1], [1, 0, 0]])).toarray())
    [[0. 0. 1.]
     [1. 0. 0.]
     [1. 1. 0.]]
    """
    if isinstance(graph, Links):
        links = forms.off_diagonal(graph.matrix)
        links.data[:] = 1  # whatever they weigh
        return links
    matrix = graph if issparse(graph) else _of_networkx(graph, None)
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] >= 1
    checks.require(square, f"got an adjacency of shape {matrix.shape}, need [n, n], n >= 1; give a row to every node")
    links = forms.off_diagonal(csr_array(csr_array(matrix, dtype=np.float64).T))
    other = "got an adjacency with entries other than 0 and 1, need a one for every edge; for weights use from_weights"
    checks.require(bool(np.all(links.data == 1)), other)
    return links


def weights_of(graph: Graph | Links) -> csr_array | None:
    """What the links of `links_of` weigh, the diagonal included; None where all weigh 1, which says nothing.

    Weights of a networkx graph are the attribute "weight" of its edges; those of parallel edges are added.

    Raises:
      InputError: weights that are no finite numbers, or that some edges have and others lack.
    """
    if isinstance(graph, Links):
        matrix = graph.matrix
    elif issparse(graph):
        return None  # zeros and ones
    else:
        given = [weight for _, _, weight in graph.edges(data="weight")]
        having = [weight for weight in given if weight is not None]
        if not having:
            return None
        got = f"got a graph with a weight on {len(having)} of its {len(given)} edges, need one on each or on none"
        checks.require(len(having) == len(given), f"{got}; leave them out: nx.Graph(graph.edges)")
        odd = [weight for weight in having if not isinstance(weight, numbers.Real)]
        got = f"got a graph with the weight {odd[0] if odd else None!r}, need a number on every edge"
        checks.require(not odd, f"{got}; leave them out: nx.Graph(graph.edges)")
        matrix = csr_array(_of_networkx(graph, "weight").T)
    checks.require(bool(np.isfinite(matrix.data).all()), "got weights of edges that are not finite; leave them out")
    return None if np.all(matrix.data == 1) else matrix


def say_names(graph: Graph | Links) -> None:
    """Note the order of the nodes of a networkx graph that are not named 0 to n - 1: names are not kept."""
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
    """A sentence unless every link runs both ways; `need` ends it, from "need" on."""
    checks.require((links != links.T).nnz == 0, f"got a directed graph, {need}")


def require_connected(links: csr_array, allow_disconnected: bool) -> None:
    """A sentence if some node cannot reach every other along the links."""
    count, _ = csgraph.connected_components(links != 0, directed=True, connection="strong")
    need = f"got a graph of {count} components, need a (strongly) connected one; link them, or allow_disconnected=True"
    checks.require(allow_disconnected or count == 1, need)
