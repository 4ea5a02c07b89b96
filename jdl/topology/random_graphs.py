"""Random graphs, drawn on the host from a seed."""

from __future__ import annotations

import itertools

from jdl import checks
from jdl.topology.topology import Topology
from jdl.topology.weights import metropolis

__all__ = ["random_regular"]


EDGE_BYTES = 320  # of networkx's dictionaries and the draw: 1,280 bytes a node at the peak, measured at degree 4


def random_regular(n: int, degree: int = 4, seed: int = 0) -> Topology:
    """Every node talks to the same number of random others: an expander, whatever its size.

    W = 1 / (degree + 1) on the node and its neighbours. The graph is drawn uniformly in the limit of large n; a
    disconnected one is thrown away and drawn again with seed + 1, seed + 2, ... For degree >= 3,
    lambda_2 <= (1 + 2 sqrt(degree - 1)) / (degree + 1) + o(1) with high probability: the gap does not close with n.

    Sends: `degree` messages a node and round.

    Args:
      n: number of nodes, at least 1.
      degree: neighbours of each node, less than n, and even where n is odd.
      seed: of the draw; the same seed gives the same graph.

    Raises:
      InputError: if no connected graph of this degree exists.

    >>> random_regular(16, degree=4, seed=0)
    <random_regular: 16 nodes, 32 edges, degree 4, doubly stochastic, symmetric>

    References:
      Steger, Wormald, "Generating random regular graphs quickly", Combinatorics, Probability and Computing 8, 1999.
      Friedman, "A proof of Alon's second eigenvalue conjecture and related problems", Memoirs of the AMS, 2008.
    """
    import networkx as nx

    n, degree, seed = checks.whole("n", n, 1), checks.whole("degree", degree, 0), checks.whole("seed", seed, 0)
    fewer = f"got degree={degree} with n={n}, a regular graph needs degree < n; try degree={n - 1}"
    checks.require(degree < n, fewer)
    linked = f"got degree={degree} with n={n}, a connected graph needs degree 2 or more; try degree=2"
    checks.require(degree >= min(n - 1, 2), linked)
    even = f"got degree={degree} with n={n}, a regular graph needs n * degree even; try n={n + 1}"
    checks.require(n * degree % 2 == 0, even)
    checks.fits(n * degree * EDGE_BYTES, f"a random regular graph with n={n:,} and degree={degree}")
    draws = (nx.random_regular_graph(degree, n, seed=number) for number in itertools.count(seed))
    return Topology("random_regular", metropolis(next(filter(nx.is_connected, draws))), "doubly", symmetric=True)
