"""Liars at chosen places of a graph: at its hubs, or where few links hold it together."""

from __future__ import annotations

from typing import Any

import numpy as np

from jdl import checks
from jdl.roles.roles import of
from jdl.types import Roles

__all__ = ["at_cut", "hubs"]


def hubs(topology: Any, count: int = 1) -> Roles:
    """Dishonest are the nodes with the most neighbours, of equals those with the lowest numbers.

    Args:
      topology: a `Topology` of n nodes. In a directed graph the links into a node count.
      count: the number of dishonest nodes, from 1 to n - 1.

    Returns:
      The roles, all in group 0.

    Raises:
      InputError: if no node would be honest.

    >>> import jdl
    >>> hubs(jdl.topology.star(5)).honest.tolist()
    [False, True, True, True, True]
    """
    return _dishonest(topology, count, np.argsort(-np.asarray(topology.degree), kind="stable"))


def at_cut(topology: Any, count: int = 1) -> Roles:
    """Dishonest are nodes at the ends of a smallest cut: the fewest links without which the graph falls apart.

    First come the ends of the links of the cut, those with more of these links first, then the nodes in the order of
    their distance from these ends; of equals those with the lowest numbers. In a barbell, or in cliques with a bridge,
    the cut is the bridge. Where no node has fewer links than the cut, it may be all links of a single node. Of several
    smallest cuts it is the one that the algorithm of Stoer and Wagner finds, in steps that grow like n^3.

    Args:
      topology: a `Topology` of n nodes, at least 2, which is connected; links count in both directions.
      count: the number of dishonest nodes, from 1 to n - 1.

    Returns:
      The roles, all in group 0.

    Raises:
      InputError: if the graph is not connected, or if no node would be honest.

    References:
      Stoer, Wagner 1997, A Simple Min-Cut Algorithm (as networkx computes it).

    >>> import jdl
    >>> np.flatnonzero(~np.asarray(at_cut(jdl.topology.two_cliques(10), 2).honest)).tolist()
    [0, 5]
    """
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(range(topology.n))
    graph.add_edges_from(topology.edges.tolist())
    parts = nx.number_connected_components(graph)
    need = "need a connected one, which a cut divides"
    checks.require(topology.n > 1 and parts == 1, f"got {topology.name}, a graph of {parts} parts, {need}; add links")
    side = set(nx.stoer_wagner(graph)[1][0])
    ends = [node for edge in graph.edges if (edge[0] in side) != (edge[1] in side) for node in edge]
    links = np.bincount(ends, minlength=topology.n)
    away = nx.multi_source_dijkstra_path_length(graph, set(ends))
    distance = np.array([away[node] for node in range(topology.n)])
    return _dishonest(topology, count, np.lexsort((np.arange(topology.n), -links, distance)))


def _dishonest(topology: Any, count: int, order: np.ndarray) -> Roles:
    count = checks.whole("count", count, 1)
    got = f"got count={count} for {topology.n} nodes, need an honest one"
    checks.require(count < topology.n, f"{got}; try count={max(topology.n - 1, 1)}")
    honest = np.ones(topology.n, bool)
    honest[order[:count]] = False
    return of(honest)
