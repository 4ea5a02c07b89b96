"""Exponential graphs with one distance per round, in a fixed cycle with a `Topology` for each phase."""

from __future__ import annotations

from jdl import checks
from jdl.topology.topology import Topology, circulant

__all__ = ["k_peer_exponential", "one_peer_exponential"]


def one_peer_exponential(n: int) -> list[Topology]:
    """Every node listens to one node per round, 1, 2, 4, 8, ... places further on in turn; directed.

    W(t) = (I + P^(2^(t mod tau))) / 2 with the cyclic shift P and tau = ceil(log2 n). The product of one period is J
    only if n is a power of two: then averaging is exact after tau rounds with one message each. Other n converge
    geometrically, while `base_k` is exact for every n.

    Sends:
      1 message per node and round.

    Args:
      n: number of nodes, at least 1.

    Returns:
      One period: tau topologies (one, without links, for n = 1). `jdl.schedule.Cyclic.of` repeats it.

    >>> one_peer_exponential(4)[1]
    <one_peer_exponential, phase 2 of 2: 4 nodes, 2 edges, degree 1, doubly stochastic, symmetric>

    References:
      Ying, Yuan, Chen, Hu, Pan, Yin, "Exponential Graph is Provably Efficient for Decentralized Deep Training",
      NeurIPS 2021 (periodic exact averaging).
      Assran, Loizou, Ballas, Rabbat, "Stochastic Gradient Push for Distributed Deep Learning", ICML 2019.
    """
    return _exponential("one_peer_exponential", checks.whole("n", n, 1), 1)


def k_peer_exponential(n: int, degree: int = 2) -> list[Topology]:
    """Every node listens to `degree` nodes, 1, 2, ..., degree times a power of degree + 1 places further on; directed.

    W(t) = (I + sum_{j <= degree} P^(j (degree + 1)^(t mod tau))) / (degree + 1) with the cyclic shift P and
    tau = ceil(log_{degree + 1} n): each round corresponds to one digit of the node's number in base degree + 1. The
    product of one period is J if n is a power of degree + 1. For other n, shifts that are 0 or repeated modulo n are
    left out, and the rounds converge geometrically. With degree = 1 it is `one_peer_exponential`.

    Sends:
      at most `degree` messages per node and round.

    Args:
      n: number of nodes, at least 1.
      degree: largest number of nodes to which a node listens in a round, at least 1.

    Returns:
      One period: tau topologies (one, without links, for n = 1).

    >>> [phase.shifts for phase in k_peer_exponential(9, degree=2)]
    [(1, 2), (3, 6)]

    References:
      Assran, Loizou, Ballas, Rabbat, "Stochastic Gradient Push for Distributed Deep Learning", ICML 2019 (several
      peers a round).
    """
    return _exponential("k_peer_exponential", checks.whole("n", n, 1), checks.whole("degree", degree, 1))


def _exponential(name: str, n: int, degree: int) -> list[Topology]:
    distances = [1]
    while distances[-1] * (degree + 1) < n:
        distances.append(distances[-1] * (degree + 1))
    # At most n - 1 multiples, also for a larger degree.
    multiples = range(1, min(degree, n - 1) + 1)
    shifts = [tuple(sorted({multiple * distance % n for multiple in multiples} - {0})) for distance in distances]
    title = f"{name}, phase {{}} of {len(shifts)}".format
    return [circulant(title(phase + 1), n, shift) for phase, shift in enumerate(shifts)]
