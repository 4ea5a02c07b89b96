"""Graphs that change from round to round in a fixed cycle: one `Topology` for each phase."""

from __future__ import annotations

from jdl import checks
from jdl.topology.topology import Topology, circulant

__all__ = ["one_peer_exponential"]


def one_peer_exponential(n: int) -> list[Topology]:
    """Every node listens to one other, 1, 2, 4, 8, ... places further on in turn; directed.

    W(t) = (I + P^(2^(t mod tau))) / 2 with the cyclic shift P and tau = ceil(log2 n). The product of one period is J,
    exact averaging in tau rounds at one message each, but only where n is a power of two; other n converge
    geometrically.

    Sends: 1 message a node and round.

    Args:
      n: number of nodes, at least 1.

    Returns:
      One period: tau topologies (one, without links, for n = 1). `jdl.schedule.cyclic` repeats it.

    >>> one_peer_exponential(4)[1]
    <one_peer_exponential, phase 2 of 2: 4 nodes, 2 edges, degree 1, doubly stochastic, symmetric>

    References:
      Ying, Yuan, Chen, Hu, Pan, Yin, "Exponential Graph is Provably Efficient for Decentralized Deep Training",
      NeurIPS 2021 (periodic exact averaging).
      Assran, Loizou, Ballas, Rabbat, "Stochastic Gradient Push for Distributed Deep Learning", ICML 2019.
    """
    n = checks.whole("n", n, 1)
    phases = [(2**j,) for j in range((n - 1).bit_length())] or [()]
    name = "one_peer_exponential, phase {} of {}".format
    return [circulant(name(phase + 1, len(phases)), n, shifts) for phase, shifts in enumerate(phases)]
