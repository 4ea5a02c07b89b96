"""Slow links used less often: a tour of the nodes, each of whose links takes part in every so many rounds."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csgraph, csr_array, triu

from jdl import checks
from jdl.topology.graphs.linked import linked
from jdl.topology.topology import Topology

__all__ = ["multigraph", "multigraph_of"]

# What the authors' code takes for its networks: 8.5 us a km and 4 ms of latency, one local step of 4.6 ms, and a model
# of 4,843,243 bits (FEMNIST) over links of 1 Gbit/s, 4.84 ms.
DELAY_MS, DELAY_MS_PER_KM = 4 + 4.6 + 4.84, 0.0085
# The order of the distances between data centres around the world.
SIDE_KM = 10_000
# The tour takes n^3 work, some seconds here; the method is meant for the few hundred silos of cross-silo learning.
MOST_NODES = 500
# The least common multiple of 1 to 10: arrays of as many rounds are kept.
MOST_PHASES = 2520


def multigraph(n: int, multiplicity: int = 5, seed: int = 0) -> list[Topology]:
    """A short ring through random places, whose slow links are used in fewer rounds than its fast ones.

    Nodes lie at random in a square of 10,000 km; the ring is the tour of Christofides' algorithm, and a link takes
    13.44 ms and 8.5 us a km. `multigraph_of` says what becomes of it. A node without links in a round waits for
    nobody. The first round has all links; every link is used once in as many rounds as it has multiplicity.

    Sends:
      at most 2 messages a node and round.

    Args:
      n: number of nodes, between 1 and 500.
      multiplicity: t, the most rounds from one use of a link to the next, at least 1.
      seed: of the places.

    Returns:
      One period: as many topologies as the least common multiple of the multiplicities, at most 60 for t = 5.

    Raises:
      InputError: if n is too large for the tour, or the period too long.

    >>> [phase.edge_count for phase in multigraph(8, multiplicity=3)]
    [8, 2, 5, 5, 5, 2]

    References:
      Do, Nguyen, Pham, Tran, Tjiputra, Tran, Nguyen, "Reducing Training Time in Cross-Silo Federated Learning using
      Multigraph Topology", ICCV 2023 (algorithms 1 and 2).
      Marfoq, Xu, Neglia, Vidal, "Throughput-Optimal Topology Design for Cross-Silo Federated Learning", NeurIPS 2020
      (the ring).
    """
    n, seed = checks.whole("n", n, 1), checks.whole("seed", seed, 0)
    need = f"got n={n}, a tour among all pairs of nodes takes n of at most {MOST_NODES}; try n={MOST_NODES}"
    checks.require(n <= MOST_NODES, need)
    positions = np.random.default_rng(seed).uniform(0, SIDE_KM, (n, 2))
    distances = np.linalg.norm(positions[:, None] - positions[None, :], axis=-1)
    order = _tour(distances)
    one, other = order, np.roll(order, -1)
    delays = np.zeros((n, n))
    delays[one, other] = DELAY_MS + DELAY_MS_PER_KM * distances[one, other]
    delays = np.maximum(delays, delays.T)
    np.fill_diagonal(delays, 0)
    return multigraph_of(csr_array(delays), multiplicity, positions)


def multigraph_of(
    delays: csr_array | np.ndarray, multiplicity: int = 5, positions: np.ndarray | None = None
) -> list[Topology]:
    """A connected graph whose slow links are used in fewer rounds than its fast ones.

    A link of delay d has multiplicity m = min(t, round(d / shortest delay)) and is used in the rounds that m divides:
    all in round 0, the fastest in every round. W(t) are the Metropolis weights of the links of that round.

    It departs from the paper in this: links are used both ways, so that W is symmetric, where the paper's ring is
    directed; a link that rests carries nothing, where the paper's nodes go on using the last model that it brought;
    the delays are those of the links as given, where the paper's vary with what was left from the round before.

    Args:
      delays: `[n, n]`, symmetric, of any unit: delay of each link of a connected graph, 0 elsewhere.
      multiplicity: t, the most rounds from one use of a link to the next, at least 1.
      positions: `float[n, 2]`, to draw it.

    Returns:
      One period: as many topologies as the least common multiple of the multiplicities.

    Raises:
      InputError: if the delays are not symmetric or below 0, or the period is too long.

    >>> delays = np.array([[0, 10, 0], [10, 0, 21], [0, 21, 0]])
    >>> [phase.edges.tolist() for phase in multigraph_of(delays)]
    [[[0, 1], [1, 2]], [[0, 1]]]
    """
    multiplicity = checks.whole("multiplicity", multiplicity, 1)
    links = csr_array(delays, dtype=np.float64, copy=True)
    links.eliminate_zeros()
    square = links.ndim == 2 and links.shape[0] == links.shape[1] >= 1
    checks.require(square, f"got delays of shape {links.shape}, need [n, n]; give one row and one column a node")
    need = "got delays that differ both ways, are below 0, infinite or on the diagonal; give each pair one, above 0"
    good = (links != links.T).nnz == 0 and np.all((links.data > 0) & (links.data < np.inf)) and links.trace() == 0
    checks.require(bool(good), need)
    connected = csgraph.connected_components(links, directed=False)[0] == 1
    checks.require(connected, "got delays of a graph that is not connected; link its components")
    upper = triu(links).tocoo()
    every = np.minimum(multiplicity, np.round(upper.data / upper.data.min(initial=np.inf))).astype(int)
    period = math.lcm(*every.tolist())
    need = f"got multiplicity={multiplicity} and so a period of {period:,} rounds, need at most {MOST_PHASES:,}"
    checks.require(period <= MOST_PHASES, f"{need}; try multiplicity=10")
    pairs = np.stack([upper.row, upper.col], axis=1)
    title = f"multigraph, phase {{}} of {period}".format
    return [linked(title(t + 1), links.shape[0], pairs[t % every == 0], positions=positions) for t in range(period)]


def _tour(distances: np.ndarray) -> np.ndarray:
    """`int[n]`, the order of a round trip of at most 3/2 of the shortest one's length."""
    import networkx as nx

    n = len(distances)
    if n <= 3:
        return np.arange(n)
    return np.array(nx.approximation.christofides(nx.from_numpy_array(distances))[:-1])
