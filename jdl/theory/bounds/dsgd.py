"""D-SGD on smooth functions, which may be nonconvex (Lian et al. 2017)."""

from __future__ import annotations

import math
from typing import NamedTuple

from jdl import checks
from jdl.theory import assumptions
from jdl.topology.spectrum.eigenvalues import lambda_2
from jdl.topology.topology import Topology

__all__ = ["DSGD", "DSGDSpeedup", "dsgd", "dsgd_largest_rate", "dsgd_speedup"]

THEOREM_1 = "Theorem 1 of Lian et al. 2017 (D-PSGD)"
COROLLARY_2 = "Corollary 2 of Lian et al. 2017 (D-PSGD)"


class DSGD(NamedTuple):
    """What Theorem 1 bounds.

    Attributes:
      average_gradient: bound on (1 / T) sum_t E||grad f(mean_i x_i(t))||^2, which is `right_side` / `factor`.
      right_side: the right side of the theorem.
      factor: D_1, the factor of the average on its left side, between 0 and 1/2.
    """

    average_gradient: float
    right_side: float
    factor: float


class DSGDSpeedup(NamedTuple):
    """What Corollary 2 says.

    Attributes:
      lr: the step size 1 / (2 L + sigma sqrt(T / n)).
      average_gradient: bound on (1 / T) sum_t E||grad f(mean_i x_i(t))||^2; its last term falls as 1 / sqrt(T n).
      least_rounds: the number of rounds from which on the corollary holds, and with it the linear speedup.
    """

    lr: float
    average_gradient: float
    least_rounds: float


def dsgd(
    topology: Topology,
    lr: float,
    L: float,
    rounds: int,
    gap: float,
    sigma_squared: float = 0.0,
    zeta_squared: float = 0.0,
) -> DSGD:
    """A bound on the gradients of D-SGD with a constant step size; f may be nonconvex.

    X(t+1) = W X(t) - lr G(t) from equal models. With rho = lambda_2^2, D_2 = 1 - 18 lr^2 n L^2 / (1 - sqrt(rho))^2 and
    D_1 = 1/2 - 9 lr^2 L^2 n / ((1 - sqrt(rho))^2 D_2), the theorem bounds (1 - lr L) / 2 times the average of
    E||mean_i grad f_i(x_i)||^2 plus D_1 times the average of E||grad f(mean x)||^2 over T rounds by
        gap / (lr T) + lr L sigma^2 / (2 n) + lr^2 L^2 n sigma^2 / ((1 - rho) D_2)
        + 9 lr^2 L^2 n zeta^2 / ((1 - sqrt(rho))^2 D_2).

    Assumptions: every f_i is L-smooth; W is symmetric and doubly stochastic with lambda_2 < 1; stochastic gradients
    are unbiased with variance at most sigma^2; the mean over nodes of ||grad f_i - grad f||^2 is at most zeta^2 at
    every x; all models are equal at the start (the paper starts at 0).

    Args:
      topology: the graph.
      lr: step size.
      L: smoothness of every f_i.
      rounds: T, number of rounds.
      gap: f at the start minus the infimum of f.
      sigma_squared: variance of stochastic gradients, of their vectors.
      zeta_squared: heterogeneity.

    Returns:
      The bound, see `DSGD`.

    Raises:
      InputError: if W is not symmetric and doubly stochastic, if the graph is not connected, if a constant is missing
        or negative, or if lr is outside of the theorem: above 1 / L, or D_1 or D_2 not positive.

    >>> from jdl.topology import ring
    >>> round(dsgd(ring(8), lr=0.005, L=1.0, rounds=10_000, gap=1.0, sigma_squared=1.0).average_gradient, 4)
    0.0468

    References:
      Lian, Zhang, Zhang, Hsieh, Zhang, Liu, "Can Decentralized Algorithms Outperform Centralized Algorithms?", NeurIPS
      2017, Theorem 1. Verified: the formula is from memory of the paper, whose text could not be read here; simulations
      on quadratics, with noise and heterogeneity, stay below it.
    """
    assumptions.symmetric(THEOREM_1, topology)
    assumptions.connected(THEOREM_1, topology)
    lr, L = assumptions.constant(THEOREM_1, "lr", lr), assumptions.constant(THEOREM_1, "L", L)
    gap = assumptions.constant(THEOREM_1, "gap", gap, strict=False)
    noise = assumptions.constant(THEOREM_1, "sigma_squared", sigma_squared, strict=False)
    zeta = assumptions.constant(THEOREM_1, "zeta_squared", zeta_squared, strict=False)
    rounds = checks.whole("rounds", rounds, 1)
    assumptions.below(THEOREM_1, "lr", lr, 1 / L, strict=False)
    assumptions.below(THEOREM_1, "lr", lr, dsgd_largest_rate(topology, L))
    n, second = topology.n, lambda_2(topology)
    stretch = lr**2 * n * L**2 / (1 - second) ** 2
    D_2 = 1 - 18 * stretch
    D_1 = 1 / 2 - 9 * stretch / D_2
    right = gap / (lr * rounds) + lr * L * noise / (2 * n)
    right += lr**2 * L**2 * n * noise / ((1 - second**2) * D_2) + 9 * stretch * zeta / D_2
    return DSGD(right / D_1, right, D_1)


def dsgd_largest_rate(topology: Topology, L: float) -> float:
    """The step size below which D_1 and D_2 of `dsgd` are positive: (1 - lambda_2) / (6 L sqrt(n)).

    With s = lr^2 n L^2 / (1 - lambda_2)^2, D_1 > 0 says 9 s / (1 - 18 s) < 1/2, so s < 1/36.

    Args:
      topology: the graph, with a symmetric, doubly stochastic W.
      L: smoothness of every f_i.

    Raises:
      InputError: if W or L are outside of Theorem 1.

    >>> from jdl.topology import complete
    >>> round(dsgd_largest_rate(complete(4), L=1.0), 4)
    0.0833

    References:
      Lian et al. 2017, Theorem 1; see `dsgd`.
    """
    assumptions.symmetric(THEOREM_1, topology)
    assumptions.connected(THEOREM_1, topology)
    L = assumptions.constant(THEOREM_1, "L", L)
    return (1 - lambda_2(topology)) / (6 * L * math.sqrt(topology.n))


def dsgd_speedup(
    topology: Topology, L: float, rounds: int, gap: float, sigma_squared: float, zeta_squared: float = 0.0
) -> DSGDSpeedup:
    """The step size of D-SGD for T rounds, its bound, and the least T from which on n nodes are n times as fast as one.

    lr = 1 / (2 L + sigma sqrt(T / n)) gives the average gradient at most
    8 gap L / T + (8 gap + 4 L) sigma / sqrt(T n), if T is at least
    4 L^4 n^5 / (sigma^6 (gap + L)^2) (sigma^2 / (1 - rho) + 9 zeta^2 / (1 - sqrt(rho))^2)^2 and
    72 L^2 n^2 / (sigma^2 (1 - sqrt(rho))^2).

    Assumptions: those of `dsgd`.

    Args:
      topology: the graph.
      L: smoothness of every f_i.
      rounds: T, number of rounds.
      gap: f at the start minus the infimum of f.
      sigma_squared: variance of stochastic gradients, above 0.
      zeta_squared: heterogeneity.

    Returns:
      Step size, bound and the least number of rounds. The bound holds only if `rounds` is at least that number.

    Raises:
      InputError: as for `dsgd`; and if `rounds` is below the least number of rounds.

    >>> from jdl.topology import complete
    >>> dsgd_speedup(complete(4), L=1.0, rounds=10_000_000, gap=1.0, sigma_squared=1.0).least_rounds
    1152.0

    References:
      Lian et al. 2017, Corollary 2. Verified: from memory of the paper; that it follows from Theorem 1 for this lr was
      checked numerically.
    """
    assumptions.symmetric(COROLLARY_2, topology)
    assumptions.connected(COROLLARY_2, topology)
    L = assumptions.constant(COROLLARY_2, "L", L)
    noise = assumptions.constant(COROLLARY_2, "sigma_squared", sigma_squared)
    gap = assumptions.constant(COROLLARY_2, "gap", gap, strict=False)
    zeta = assumptions.constant(COROLLARY_2, "zeta_squared", zeta_squared, strict=False)
    rounds = checks.whole("rounds", rounds, 1)
    n, second, sigma = topology.n, lambda_2(topology), math.sqrt(noise)
    spread = noise / (1 - second**2) + 9 * zeta / (1 - second) ** 2
    least = max(
        4 * L**4 * n**5 / (noise**3 * (gap + L) ** 2) * spread**2, 72 * L**2 * n**2 / (noise * (1 - second) ** 2)
    )
    need = f"got rounds={rounds}, {COROLLARY_2} assumes at least {least:.6g} rounds for this graph and these constants"
    checks.require(rounds >= least, f"{need}; try rounds={math.ceil(least)}")
    bound = 8 * gap * L / rounds + (8 * gap + 4 * L) * sigma / math.sqrt(rounds * n)
    return DSGDSpeedup(1 / (2 * L + sigma * math.sqrt(rounds / n)), bound, least)
