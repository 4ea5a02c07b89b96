"""A connected graph divided over several rounds, of which only the union must be connected."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.topology.graphs.linked import linked
from jdl.topology.graphs.random_graphs import random_regular
from jdl.topology.topology import Topology

__all__ = ["switching"]


def switching(n: int, degree: int = 4, period: int = 3, seed: int = 0) -> list[Topology]:
    """The links of a random regular graph, each used in one round of a period: connected only over the period.

    Every link is assigned to one of `period` rounds at random, as evenly as possible. W(t) are the Metropolis weights
    of the links of that round, symmetric and doubly stochastic; nodes without a link keep their value. The union over a
    period is connected (B-connected, with B = period), and every W_ii is positive. So a period shrinks every
    disagreement by a factor below 1, although single rounds have lambda_2 = 1.

    Sends:
      `degree` / `period` messages per node and round, on average.

    Args:
      n: number of nodes, at least 1.
      degree: number of neighbours of each node in the union, less than n, and even if n is odd; see `random_regular`.
      period: number B of rounds over which the links are divided, at least 1.
      seed: seed of the graph and of the distribution of its links.

    Returns:
      One period: `period` topologies, some without links where there are fewer links than rounds.

    Raises:
      InputError: if no connected graph of this degree exists.

    >>> [phase.edge_count for phase in switching(16, degree=4, period=3)]
    [11, 11, 10]

    References:
      Nedic, Olshevsky, Shi, "Achieving Geometric Convergence for Distributed Optimization over Time-Varying Graphs",
      SIAM Journal on Optimization 27, 2017 (B-connected sequences).
    """
    period, seed = checks.whole("period", period, 1), checks.whole("seed", seed, 0)
    union = random_regular(n, degree, seed)
    turns = np.random.default_rng(seed).permutation(union.edge_count) % period
    title = f"switching, phase {{}} of {period}".format
    return [linked(title(turn + 1), union.n, union.edges[turns == turn]) for turn in range(period)]
