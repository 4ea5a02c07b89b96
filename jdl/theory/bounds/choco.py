"""CHOCO: gossip and SGD whose messages are compressed (Koloskova et al. 2019)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jdl import checks
from jdl.theory import assumptions
from jdl.topology.spectrum.eigenvalues import extremes, lambda_2
from jdl.topology.topology import Topology

__all__ = ["ChocoGossip", "ChocoSGD", "choco_gossip", "choco_sgd"]

THEOREM_2 = "Theorem 2 of Koloskova et al. 2019 (CHOCO-Gossip)"
THEOREM_4 = "Theorem 4 of Koloskova et al. 2019 (CHOCO-SGD)"


class ChocoGossip(NamedTuple):
    """The step of CHOCO-Gossip and its rate.

    Attributes:
      gamma: the consensus step size.
      rate: E e(t) <= rate^t e(0), for e the sum over nodes of ||x_i - mean||^2 + ||x_i - copy_i||^2.
      delta: the spectral gap 1 - lambda_2.
      beta: ||I - W||_2, the distance of the smallest eigenvalue of W from 1.
    """

    gamma: float
    rate: float
    delta: float
    beta: float


class ChocoSGD(NamedTuple):
    """Steps and error of CHOCO-SGD; the error has constant factors that the theorem leaves open.

    Attributes:
      gamma: the consensus step size.
      shift: a in the step sizes lr(t) = 4 / (mu (a + t)).
      noise: sigma^2 / (mu n T), the term of SGD on n nodes.
      compression: kappa G^2 / (mu omega^2 delta^4 T^2), the first term of the compression and the graph.
      rest: G^2 / (mu omega^3 delta^6 T^3).
    """

    gamma: float
    shift: float
    noise: float
    compression: float
    rest: float


def choco_gossip(topology: Topology, omega: float) -> ChocoGossip:
    """The consensus step size of CHOCO-Gossip that its theorem advises, and its linear rate.

    gamma = delta^2 omega / (16 delta + delta^2 + 4 beta^2 + 2 delta beta^2 - 8 delta omega) with the spectral gap delta
    and beta = ||I - W||_2; then E e(t) <= (1 - delta^2 omega / 82)^t e(0). Larger gamma are faster in practice.

    Assumptions: W symmetric and doubly stochastic on a connected graph, delta > 0; a compressor C with E||C(x) - x||^2
    <= (1 - omega) ||x||^2: omega = k / d for `TopK` and `RandK` of k out of d numbers, 1 without compression.

    Args:
      topology: the graph.
      omega: quality of the compressor, above 0, at most 1.

    Raises:
      InputError: if W is not symmetric and doubly stochastic, gossip does not converge, or omega is out of range.

    >>> from jdl.topology import ring
    >>> [round(number, 5) for number in choco_gossip(ring(8), omega=0.1)]
    [0.00035, 0.99995, 0.19526, 1.33333]

    References:
      Koloskova, Stich, Jaggi, "Decentralized Stochastic Optimization and Gossip Algorithms with Compressed
      Communication", ICML 2019, Theorem 2. Verified: gamma was read in public lecture notes (distributed-opt, by Kun73,
      chapter 7), the rate is from memory; simulations with top-k and random-k contract faster.
    """
    assumptions.symmetric(THEOREM_2, topology)
    assumptions.connected(THEOREM_2, topology)
    omega = assumptions.constant(THEOREM_2, "omega", omega)
    checks.require(omega <= 1, f"got omega={omega:g}, {THEOREM_2} assumes omega of at most 1; 1 is no compression")
    delta = 1 - lambda_2(topology)
    flips = f"got {topology.name!r} with lambda_2 = 1, {THEOREM_2} assumes a spectral gap above 0; use (I + W) / 2"
    checks.require(delta > 1e-12, flips)
    beta = float(np.abs(1 - np.array(extremes(topology))).max()) if topology.n > 1 else 0.0
    below = 16 * delta + delta**2 + 4 * beta**2 + 2 * delta * beta**2 - 8 * delta * omega
    return ChocoGossip(delta**2 * omega / below, 1 - delta**2 * omega / 82, delta, beta)


def choco_sgd(
    topology: Topology,
    omega: float,
    L: float,
    mu: float,
    rounds: int,
    sigma_squared: float,
    gradient_squared: float,
) -> ChocoSGD:
    """The step sizes of CHOCO-SGD that its theorem advises, and the terms of its error after T rounds.

    lr(t) = 4 / (mu (a + t)) with a = max(410 / (delta^2 omega), 16 L / mu). Then f - f* at the average of the mean
    models, with weights (a + t)^2, is of the order of the three terms of `ChocoSGD`.

    Assumptions: those of `choco_gossip`; f_i mu-strongly convex and L-smooth; stochastic gradients with variance at
    most sigma^2 in the mean over nodes, and E||g||^2 <= G^2.

    Args:
      topology: the graph.
      omega: quality of the compressor, above 0, at most 1.
      L: smoothness.
      mu: strong convexity.
      rounds: T.
      sigma_squared: variance of stochastic gradients.
      gradient_squared: G^2.

    Raises:
      InputError: as for `choco_gossip`; and if a constant is missing.

    >>> from jdl.topology import ring
    >>> round(choco_sgd(ring(8), 0.1, 1.0, 0.1, 10**6, 1.0, 1.0).shift)
    107534

    References:
      Koloskova et al. 2019, Theorem 4. Verified: read in public lecture notes (distributed-opt, by Kun73, chapter 7).
    """
    gossip = choco_gossip(topology, omega)
    L, mu = assumptions.curvature(THEOREM_4, L, mu)
    noise = assumptions.constant(THEOREM_4, "sigma_squared", sigma_squared, strict=False)
    G = assumptions.constant(THEOREM_4, "gradient_squared", gradient_squared)
    T, delta = checks.whole("rounds", rounds, 1), gossip.delta
    return ChocoSGD(
        gossip.gamma,
        max(410 / (delta**2 * omega), 16 * L / mu),
        noise / (mu * topology.n * T),
        L / mu * G / (mu * omega**2 * delta**4 * T**2),
        G / (mu * omega**3 * delta**6 * T**3),
    )
