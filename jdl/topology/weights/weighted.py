"""Weights by the name of a scheme, for a topology or for your own graph."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from scipy.sparse import csr_array, eye_array

from jdl import checks
from jdl.topology import forms
from jdl.topology.topology import Topology, circulant_spectrum
from jdl.topology.weights.adjacency import Graph, Links, links_of, require_connected, say_names, weights_of
from jdl.topology.weights.fastest import fastest
from jdl.topology.weights.own import check_weights, completed, from_weights, stated
from jdl.topology.weights.schemes import (
    best_constant,
    column,
    data_size,
    max_degree,
    metropolis,
    row,
    sinkhorn,
)

__all__ = ["SCHEMES", "check_weights", "from_graph", "from_weights", "metropolis", "weighted"]

OF_LINKS = {
    "best_constant": best_constant,
    "column": column,
    "fastest": fastest,
    "max_degree": max_degree,
    "metropolis": metropolis,
    "row": row,
    "sinkhorn": sinkhorn,
    "uniform": row,
}
SCHEMES = tuple(sorted([*OF_LINKS, "data_size", "lazy"]))


def weighted(topology: Topology, scheme: str, sizes: Any = None) -> Topology:
    """The same graph with other weights: the links are the off-diagonal weights of W that are not zero.

    The links are the nonzero off-diagonal weights of W.

    | scheme | W_ij on links; W_ii is the rest | property |
    |---|---|---|
    | metropolis | 1 / (1 + max(d_i, d_j)) | symmetric |
    | max_degree | 1 / (1 + largest degree) | symmetric |
    | lazy | (I + W) / 2 of the existing W: no eigenvalue is negative | unchanged |
    | best_constant | 2 / (lambda_2(L) + lambda_n(L)), L the Laplacian: the fastest single weight | symmetric |
    | fastest | those for which the spectral norm of W - J is smallest; needs cvxpy, n up to 200 | symmetric |
    | data_size | min(1 / (1 + d_i), (s_j / s_i) / (1 + d_j)): stationary distribution ~ sizes s | row |
    | uniform, row | 1 / (1 + in-degree of i) | row |
    | column | 1 / (1 + out-degree of j) | column |
    | sinkhorn | r_i c_j, scaled until rows and columns sum to one | doubly |

    The first six except lazy need an undirected graph; the others accept any. With best_constant and fastest, weights
    may be negative. `stochastic` and `symmetric` of the result are read from its W.

    Sends:
      the same messages as the topology.

    Args:
      topology: topology whose links and positions are kept.
      scheme: one of `SCHEMES`.
      sizes: `[n]`, the number of examples of each node; only for data_size.

    Raises:
      InputError: if the scheme is unknown or does not fit the graph.

    >>> from jdl.topology.graphs.lattices import ring
    >>> weighted(ring(8), "lazy")
    <ring, lazy: 8 nodes, 8 edges, degree 2, doubly stochastic, symmetric>

    References:
      Xiao, Boyd, "Fast linear iterations for distributed averaging", Systems & Control Letters 53, 2004.
    """
    scheme = checks.known("scheme", scheme, SCHEMES)
    alone = f'got sizes with scheme "{scheme}", which does not use them; leave them out, or try scheme "data_size"'
    checks.require(sizes is None or scheme == "data_size", alone)
    name = f"{topology.name}, {scheme}"
    if scheme == "lazy":
        half = csr_array((eye_array(topology.n) + topology.weights) / 2)
        old = topology.spectrum
        spectrum = None if old is None else lambda: (1 + old()) / 2
        return dataclasses.replace(topology, name=name, matrix=half, groups=None, spectrum=spectrum)
    links = forms.off_diagonal(topology.weights)
    links.data = np.ones_like(links.data)
    if scheme == "best_constant":
        matrix = best_constant(links, topology.shifts)
    else:
        matrix = data_size(links, sizes) if scheme == "data_size" else OF_LINKS[scheme](links)
    result = stated(name, matrix)
    if topology.shifts is None or scheme in ("data_size", "fastest"):
        return dataclasses.replace(result, positions=topology.positions)
    # These schemes treat all nodes of a circulant graph the same, so that W stays circulant.
    spectrum = circulant_spectrum(result.weights, result.symmetric)
    return dataclasses.replace(result, shifts=topology.shifts, spectrum=spectrum, positions=topology.positions)


def from_graph(
    graph: Graph | Links, name: str = "graph", weights: str | None = None, allow_disconnected: bool = False
) -> Topology:
    """The topology of your own graph.

    By default an undirected graph gets Metropolis weights, which are doubly stochastic. A directed one, where an edge
    (u, v) lets u send to v, splits the mass of every node evenly: W_ij = 1 / (1 + outdegree_j) on edges and the
    diagonal, which is column stochastic. If edges have positive weights of their own (networkx: the attribute "weight")
    that sum to at most 1 at every node, these are W_ij, and W_ii is the rest; a note says where other weights are not
    used.

    Args:
      graph: networkx graph, or its 0/1 adjacency as a SciPy sparse matrix `[n, n]`; see `metropolis`. Nodes that are
        not named 0 to n - 1 are numbered in the graph's order, and a note states this order.
      name: name in tables and plots.
      weights: one of `SCHEMES`, see `weighted`; by default the edges' own weights, or "metropolis", or "column" if some
        link runs one way only.
      allow_disconnected: whether to accept a graph whose nodes cannot all reach each other.

    Raises:
      InputError: if the graph is empty or disconnected, the scheme does not fit it, or only some edges have weights.

    >>> import networkx as nx
    >>> from_graph(nx.star_graph(4), name="star")
    <star: 5 nodes, 4 edges, degree 1 to 4, doubly stochastic, symmetric>
    >>> from_graph(csr_array([[0, 1, 1], [0, 0, 1], [1, 0, 0]]), weights="sinkhorn")
    <graph: 3 nodes, 4 directed links, degree 1 to 2, doubly stochastic>
    """
    links = links_of(graph)
    require_connected(links, allow_disconnected)
    say_names(graph)
    usual = "metropolis" if (links != links.T).nnz == 0 else "column"
    edge_weights = weights_of(graph) if weights is None else None
    if edge_weights is not None:
        matrix = completed(edge_weights)
        if matrix is not None:
            return stated(name, matrix)
        most = float(max(forms.off_diagonal(edge_weights).sum(axis=axis).max() for axis in (0, 1)))
        checks.note(
            f"the weights of {name} are not used, since those of a node sum to {most:.4g}, more than 1, or are not "
            f'positive; W is that of weights="{usual}". For a W of your own see jdl.topology.from_weights'
        )
    plain = stated(name, OF_LINKS[usual](links))
    if weights is None or weights == usual:
        return plain
    return dataclasses.replace(weighted(plain, weights), name=name)
