"""A tour of the nodes whose slow links are used in fewer rounds than its fast ones."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csgraph, csr_array, triu

from jdl import checks
from jdl.topology.graphs.linked import linked
from jdl.topology.graphs.tours import round_trip
from jdl.topology.topology import Topology

__all__ = ["multigraph", "multigraph_of", "uses"]

# The constants of the authors' code for its networks: 8.5 us a km and 4 ms of latency, a local step of 4.6 ms, a model
# of 4,843,243 bits (FEMNIST) over links of 1 Gbit/s, 4.84 ms.
DELAY_MS, DELAY_MS_PER_KM = 4 + 4.6 + 4.84, 0.0085
# The order of magnitude of the distances between data centres around the world.
SIDE_KM = 10_000
# The tour takes n^3 work, some seconds here; the method is meant for the few hundred silos of cross-silo learning.
MOST_NODES = 500
# The least common multiple of 1 to 10; the cycle stores arrays for each round.
MOST_PHASES = 2520


def multigraph(n: int, multiplicity: int = 5, seed: int = 0) -> list[Topology]:
    """A short ring through random places; its slow links are used in fewer rounds than its fast ones.

    Nodes lie at random in a square with sides of 10,000 km. The ring is the tour of Christofides' algorithm, and a link
    takes 13.44 ms and 8.5 us a km. `multigraph_of` describes the cycle. A node without links in a round waits for no
    other. The first round has all links; a link of multiplicity m is used once in m rounds.

    Sends:
      at most 2 messages per node and round.

    Args:
      n: number of nodes, between 1 and 500.
      multiplicity: t, the largest number of rounds from one use of a link to the next, at least 1.
      seed: seed of the random places.

    Returns:
      One period: the number of topologies is the least common multiple of the multiplicities, at most 60 for t = 5.

    Raises:
      InputError: if n is too large for the tour, or the period is too long.

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
    order = round_trip(distances)
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

    A link of delay d has multiplicity m = min(t, round(d / shortest delay)) and is used in the rounds that are
    multiples of m: all links in round 0, the fastest in every round. W(t) are the Metropolis weights of the links of
    that round.

    It differs from the paper in three ways: links are used in both directions, so that W is symmetric, where the
    paper's ring is directed; an unused link carries nothing, where the paper's nodes reuse the last model that it
    delivered, as those of `jdl.exchange.RestingLinks` do; and delays are constant, where the paper's vary with the
    remaining delay of the previous round.

    Args:
      delays: `[n, n]`, symmetric, in any unit: delay of each link of a connected graph, 0 elsewhere.
      multiplicity: t, the largest number of rounds from one use of a link to the next, at least 1.
      positions: `float[n, 2]`, coordinates for drawing, or None.

    Returns:
      One period: the number of topologies is the least common multiple of the multiplicities.

    Raises:
      InputError: if the delays are not symmetric or are negative, or the period is too long.

    >>> delays = np.array([[0, 10, 0], [10, 0, 21], [0, 21, 0]])
    >>> [phase.edges.tolist() for phase in multigraph_of(delays)]
    [[[0, 1], [1, 2]], [[0, 1]]]
    """
    multiplicity = checks.whole("multiplicity", multiplicity, 1)
    links = csr_array(delays, dtype=np.float64, copy=True)
    links.eliminate_zeros()
    square = links.ndim == 2 and links.shape[0] == links.shape[1] >= 1
    checks.require(square, f"got delays of shape {links.shape}, need [n, n]; give one row and one column for each node")
    need = "got delays that differ both ways, are below 0, infinite or on the diagonal; give each pair one, above 0"
    good = (links != links.T).nnz == 0 and np.all((links.data > 0) & (links.data < np.inf)) and links.trace() == 0
    checks.require(bool(good), need)
    connected = csgraph.connected_components(links, directed=False)[0] == 1
    checks.require(connected, "got delays of a graph that is not connected; link its components")
    upper = triu(links).tocoo()
    every = uses(upper.data, multiplicity)
    period = math.lcm(*every.tolist())
    need = f"got multiplicity={multiplicity} and so a period of {period:,} rounds, need at most {MOST_PHASES:,}"
    checks.require(period <= MOST_PHASES, f"{need}; try multiplicity=10")
    pairs = np.stack([upper.row, upper.col], axis=1)
    title = f"multigraph, phase {{}} of {period}".format
    return [linked(title(t + 1), links.shape[0], pairs[t % every == 0], positions=positions) for t in range(period)]


def uses(delays: np.ndarray, multiplicity: int) -> np.ndarray:
    """i[e], the number of rounds from one use of a link to the next, by its delay, f[e]."""
    return np.minimum(multiplicity, np.round(delays / delays.min(initial=np.inf))).astype(int)
