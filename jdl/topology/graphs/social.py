"""A social network from observation."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.topology.graphs.linked import linked
from jdl.topology.topology import Topology

__all__ = ["social_network"]


def social_network(n: int = 32) -> Topology:
    """Davis' Southern Women: 18 women and the 14 events that they went to in the 1930s, linked by attendance.

    Nodes 0 to 17 are the women, 18 to 31 the events; 89 edges, each between a woman and an event. The weights are
    Metropolis weights, without a closed-form spectrum; lambda_2 = 0.9179.

    Sends:
      one message per round to each of 2 to 14 neighbours, 5.6 per node on average.

    Args:
      n: number of nodes, which must be 32.

    Raises:
      InputError: for any other n.

    >>> social_network(32)
    <social_network: 32 nodes, 89 edges, degree 2 to 14, doubly stochastic, symmetric>

    References:
      Davis, Gardner, Gardner, "Deep South", University of Chicago Press, 1941.
      Vogels, He, Koloskova, Lin, Karimireddy, Stich, Jaggi, "RelaySum for Decentralized Deep Learning on Heterogeneous
      Data", NeurIPS 2021 (where it is one of the topologies).
    """
    import networkx as nx

    checks.require(checks.whole("n", n, 1) == 32, f"got n={n}, this social network has 32 nodes; try n=32")
    graph = nx.convert_node_labels_to_integers(nx.davis_southern_women_graph())
    return linked("social_network", n, np.array(graph.edges))
