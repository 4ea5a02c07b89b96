"""A graph with more nodes at each of its nodes, such as liars at every honest node."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array

from jdl import checks
from jdl.topology.topology import Topology
from jdl.topology.weights.weighted import from_graph

__all__ = ["attached"]


def attached(topology: Topology, count: int = 1, shared: bool = True, weights: str = "metropolis") -> Topology:
    """The graph with more nodes, so that each of its own nodes has `count` of them as neighbours.

    The own nodes keep their numbers 0 to n - 1, and the new ones follow. New nodes are not linked with each other. With
    roles that name them dishonest, every honest node has exactly `count` liars among its neighbours, the setting of
    bounds that count liars at a node:

        graph = jdl.topology.attached(jdl.topology.ring(16), count=2)
        roles = jdl.roles.of(honest=np.arange(graph.n) < 16)

    Sends:
      `count` messages a round more from each of the own nodes; from a new one as many as it has neighbours.

    Args:
      topology: an undirected graph of n nodes.
      count: the number of new neighbours of each node, at least 1.
      shared: whether all nodes have the same new neighbours, which makes n + count nodes; otherwise each has its own,
        n + n count nodes, those of node i from n + i count.
      weights: the scheme of the weights, one of `jdl.topology.SCHEMES`.

    Returns:
      The topology.

    Raises:
      InputError: if the graph is directed or `count` is less than 1.

    References:
      Gaucher, Dieuleveut, Hendrikx 2025, Unified Breakdown Analysis for Byzantine Robust Gossip (its experiments have
      the same number of liars at every honest node).

    >>> from jdl.topology.graphs.lattices import ring
    >>> attached(ring(4), count=2)
    <ring, 2 at each: 6 nodes, 12 edges, degree 4, doubly stochastic, symmetric>
    """
    count, n = checks.whole("count", count, 1), topology.n
    need = f"got the directed graph {topology.name}, need an undirected one, where those who hear a node also tell it"
    checks.require(topology.symmetric, f"{need}; try jdl.topology.ring(n)")
    old = np.repeat(np.arange(n), count)
    new = n + (np.tile(np.arange(count), n) if shared else np.arange(n * count))
    ends = np.concatenate([topology.edges, np.stack([old, new], axis=1)])
    size = n + (count if shared else n * count)
    one_way = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(size, size))
    return from_graph((one_way + one_way.T).tocsr(), f"{topology.name}, {count} at each", weights)
