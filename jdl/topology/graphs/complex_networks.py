"""Random graphs like real networks: small worlds, hubs, and nodes at places. They are drawn on the host from a seed."""

from __future__ import annotations

import math

import numpy as np

from jdl import checks
from jdl.topology.graphs.linked import drawn, linked
from jdl.topology.graphs.random_graphs import enough
from jdl.topology.topology import Topology

__all__ = ["barabasi_albert", "random_geometric", "watts_strogatz"]


def watts_strogatz(n: int, degree: int = 4, rewiring: float = 0.1, seed: int = 0) -> Topology:
    """A small world: a circle with links between near nodes, some of which are rewired to random nodes.

    Each of the n degree / 2 edges keeps one end and, with probability `rewiring`, moves the other to a random node, if
    that makes no loop and no double edge. The weights are Metropolis weights, without a closed-form spectrum. The gap
    of the circle, which closes like 1 / n^2, grows to that of a random graph with few rewired edges. A disconnected
    graph is discarded and drawn again with seed + 1, seed + 2, ..., at most 100 times.

    Sends:
      `degree` messages per node and round on average.

    Args:
      n: number of nodes, more than `degree`.
      degree: number of neighbours of each node on the circle, even, at least 2.
      rewiring: probability that an edge is rewired, 0 to 1.
      seed: seed of the random draw; the same seed gives the same graph.

    Raises:
      InputError: if the degree is odd or too large for n, or 100 draws in a row are disconnected.

    >>> watts_strogatz(20, degree=4, rewiring=0.0)
    <watts_strogatz: 20 nodes, 40 edges, degree 4, doubly stochastic, symmetric>

    References:
      Watts, Strogatz, "Collective dynamics of small-world networks", Nature 393, 1998.
    """
    import networkx as nx

    n, seed = checks.whole("n", n, 1), checks.whole("seed", seed, 0)
    degree = checks.whole("degree", degree, 2, "a small world needs")
    even = f"got degree={degree}, a small world needs an even degree, half on either side; try degree={degree - 1}"
    checks.require(degree % 2 == 0, even)
    do = f"try degree={(n - 1) // 2 * 2}" if n > 2 else f"try n={degree + 1}"
    checks.require(degree < n, f"got degree={degree} with n={n}, a small world needs degree < n; {do}")
    checks.bounded("rewiring", rewiring, 0.0, 1.0, 0.1)

    def draw(number: int) -> np.ndarray:
        return np.array(nx.watts_strogatz_graph(n, degree, rewiring, seed=number).edges)

    do = f"try degree={max(degree + 2, 2 * math.ceil(enough(n) / 2))}"
    return drawn("watts_strogatz", n, draw, seed, do)


def barabasi_albert(n: int, degree: int = 2, seed: int = 0) -> Topology:
    """A few hubs and many nodes of small degree: each new node links to older ones with probability ~ their degree.

    It starts as a star of degree + 1 nodes. Node i > degree links to `degree` different older ones, drawn in proportion
    to their degrees: degree (n - degree) edges in total, and a connected graph. For large n a share of about 2 degree
    (degree + 1) / (k (k + 1) (k + 2)) of the nodes has degree k. The weights are Metropolis weights, which are small at
    the hubs, without a closed-form spectrum.

    Sends:
      2 degree (1 - degree / n) messages per node and round on average; about sqrt(n) times as many from a hub.

    Args:
      n: number of nodes, more than `degree`.
      degree: number of links that each new node adds, at least 1; 1 makes a tree.
      seed: seed of the random draw; the same seed gives the same graph.

    Raises:
      InputError: if n is not more than the degree.

    >>> barabasi_albert(20, degree=2, seed=0).edge_count
    36

    References:
      Barabasi, Albert, "Emergence of scaling in random networks", Science 286, 1999.
      Bollobas, Riordan, Spencer, Tusnady, "The degree sequence of a scale-free random graph process", Random Structures
      and Algorithms 18, 2001.
    """
    import networkx as nx

    n, seed = checks.whole("n", n, 1), checks.whole("seed", seed, 0)
    degree = checks.whole("degree", degree, 1)
    do = f"try degree={n - 1}" if n > 1 else f"try n={degree + 1}"
    checks.require(degree < n, f"got degree={degree} with n={n}, a new node needs as many older ones; {do}")
    return linked("barabasi_albert", n, np.array(nx.barabasi_albert_graph(n, degree, seed=seed).edges))


def random_geometric(n: int, degree: float | None = None, radius: float | None = None, seed: int = 0) -> Topology:
    """Nodes lie at random in a unit square and talk to all nodes within some distance, like radios.

    Two nodes are linked if they lie at most `radius` apart. A node in the middle has degree = (n - 1) pi radius^2
    neighbours on average, one near the border fewer. The weights are Metropolis weights, without a closed-form
    spectrum; the gap closes like radius^2, which is like degree / n. A disconnected graph is discarded, positions
    included, and drawn again with seed + 1, seed + 2, ..., at most 100 times.

    Sends:
      up to `degree` messages per node and round on average.

    Args:
      n: number of nodes, at least 1.
      degree: mean number of neighbours in the middle, at most n - 1; by default 2 ln n.
      radius: distance, as an alternative to the degree; side lengths of the square are 1.
      seed: seed of the random draw; the same seed gives the same graph.

    Raises:
      InputError: if both degree and radius are given, or 100 draws in a row are disconnected.

    >>> random_geometric(100, radius=0.25, seed=0).positions.shape
    (100, 2)

    References:
      Gupta, Kumar, "The capacity of wireless networks", IEEE Transactions on Information Theory 46, 2000.
      Penrose, "Random Geometric Graphs", Oxford University Press, 2003.
    """
    from scipy.spatial import KDTree

    n, seed = checks.whole("n", n, 1), checks.whole("seed", seed, 0)
    both = f"got degree={degree} and radius={radius}, which say the same in two ways; leave one of them out"
    checks.require(degree is None or radius is None, both)
    if radius is None:
        usual = min(n - 1.0, 2 * math.log(n))
        degree = usual if degree is None else degree
        checks.bounded("degree", degree, 0.0, n - 1.0, usual)
        radius = math.sqrt(degree / (math.pi * max(1, n - 1)))
        do = f"try degree={min(n - 1, 2 * enough(n))}"
    else:
        checks.bounded("radius", radius, 0.0, math.sqrt(2), 0.5)
        do = f"try radius={math.sqrt(2 * enough(n) / (math.pi * max(1, n - 1))):.2g}"

    def places(number: int) -> np.ndarray:
        return np.random.default_rng(number).random((n, 2))

    def draw(number: int) -> np.ndarray:
        return KDTree(places(number)).query_pairs(radius, output_type="ndarray")

    return drawn("random_geometric", n, draw, seed, do, places)
