"""Predictions of theory for gossip and for learning over it, from the topology alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from jdl import checks
from jdl.topology.spectrum.eigenvalues import lambda_2
from jdl.topology.spectrum.neighbours import effective_neighbours
from jdl.topology.spectrum.periods import contraction, cycle_of, exact_after_rounds
from jdl.topology.topology import Topology

__all__ = ["QuadraticRate", "best_quadratic_rate", "predicted_rounds", "quadratic_rate", "rounds_to_shrink"]


class QuadraticRate(NamedTuple):
    """The speed of decentralized SGD on random quadratics with step size `lr`.

    E||x_t||^2 = (1 - rate) E||x_{t-1}||^2.

    Attributes:
      rate: the rate of convergence; negative if the method diverges.
      lr: the step size.
    """

    rate: float
    lr: float


def predicted_rounds(topology: Topology | Sequence[Topology], eps: float = 1e-3) -> int | None:
    """Rounds of gossip after which ||x - mean|| is at most `eps` times its start for every x; None if never.

    This is the smallest t with lambda_2^t <= eps: ceil(log(eps) / log(lambda_2)). For a cycle of topologies lambda_2 is
    the geometric mean over a period, so that t is exact at multiples of the period. If a cycle averages exactly, t is
    at most the round in which it does.

    Args:
      topology: one topology, or one period of a cycle.
      eps: factor on the disagreement, between 0 and 1.

    Returns:
      The number of rounds, or None.

    Raises:
      InputError: if eps is not between 0 and 1.

    >>> from jdl.topology import complete, one_peer_exponential, ring
    >>> predicted_rounds(ring(32)), predicted_rounds(complete(32)), predicted_rounds(one_peer_exponential(32))
    (536, 1, 5)

    References:
      Xiao, Boyd, "Fast linear iterations for distributed averaging", Systems & Control Letters 53, 2004 (section 2:
      the spectral norm of W - J is the factor of a round at worst).
    """
    phases = cycle_of(topology)
    factor = lambda_2(phases[0]) if len(phases) == 1 else contraction(phases).round
    return rounds_to_shrink(factor, exact_after_rounds(phases), eps)


def rounds_to_shrink(factor: float, exact_after: int | None, eps: float) -> int | None:
    """The smallest t with factor^t <= eps, or `exact_after` if that is smaller; None if there is none.

    >>> rounds_to_shrink(0.5, None, 0.1), rounds_to_shrink(1.0, None, 0.1), rounds_to_shrink(0.9, 3, 0.1)
    (4, None, 3)

    Args:
      factor: factor on the disagreement in a round, at least 0.
      exact_after: number of rounds after which averaging is exact, or None.
      eps: factor to reach, between 0 and 1.

    Raises:
      InputError: if eps is not between 0 and 1.
    """
    between = isinstance(eps, int | float) and 0 < eps < 1
    checks.require(between, f"got eps={eps!r}, need a number between 0 and 1; try eps=0.001")
    if 1 - factor < 1e-15:
        return exact_after
    if factor <= 0:
        return 1 if exact_after is None else exact_after
    # The tolerance of 1e-9 makes eps = factor^t count as t rounds although logarithms are rounded.
    rounds = max(1, math.ceil(math.log(eps) / math.log(factor) - 1e-9))
    return rounds if exact_after is None else min(rounds, exact_after)


def quadratic_rate(topology: Topology | Sequence[Topology], lr: float, zeta: float) -> float:
    """The rate r of decentralized SGD on random quadratics: E||x_t||^2 = (1 - r) E||x_{t-1}||^2; negative: diverges.

    Each step draws d with E[d d'] = I and E[(d d')^2] = zeta I, independently at every node, and descends along its
    gradient: x_i <- sum_j W_ij (x_j - lr d_j d_j' x_j). Then the matrix C of E[x_i' x_j] follows
    C <- W ((1 - lr)^2 C + (zeta - 1) lr^2 diag(C)) W'. If all nodes are equivalent, diag(C) = c I. Then C <- (1 - r) C
    gives, by a sum over past rounds, with gamma = (1 - lr)^2 / (1 - r),
        r = 1 - (1 - lr)^2 - (zeta - 1) lr^2 / n_W(gamma).
    So collaboration divides the noise by the effective number of neighbours n_W. If nodes differ, the worst node's n_W
    makes r a lower bound, because 1 - r is the spectral radius of a matrix, and the formula gives its largest row sum.

    Args:
      topology: one topology, or one period of a cycle.
      lr: step size, between 0 and 1, both excluded.
      zeta: constant in E[(d d')^2] = zeta I, above 1; d + 2 for standard normal vectors of d numbers.

    Returns:
      The rate r, at most 1; the smaller, the slower.

    Raises:
      InputError: if lr is not between 0 and 1, or zeta is at most 1.

    References:
      Vogels, Hendrikx, Jaggi, "Beyond spectral gap: The role of the topology in decentralized learning", NeurIPS 2022,
      section 3.1 (isotropic random quadratics).
    """
    from scipy.optimize import brentq

    checks.require(0 < lr < 1, f"got lr={lr!r}, need a number between 0 and 1; try lr=0.1")
    phases = _checked(topology, zeta)
    # lr decreases in gamma, from 1 at gamma = 0 to 0 at gamma = 1.
    gap = brentq(lambda gap: _at(phases, zeta, 1 - gap).lr - lr, 1e-12, 1 - 1e-12, xtol=1e-15, rtol=1e-12)
    return _at(phases, zeta, 1 - gap).rate


def best_quadratic_rate(topology: Topology | Sequence[Topology], zeta: float) -> QuadraticRate:
    """The step size that makes decentralized SGD on random quadratics fastest, and its rate; see `quadratic_rate`.

    For a single node, and for W = J, there is a closed form: lr = rate = 1 / (1 + (zeta - 1) / n), with n = 1 for a
    single node.

    >>> from jdl.topology import complete, ring
    >>> [round(number, 3) for number in best_quadratic_rate(complete(32), zeta=50)]
    [0.395, 0.395]
    >>> [round(number, 3) for number in best_quadratic_rate(ring(32), zeta=50)]
    [0.126, 0.091]

    Args:
      topology: one topology, or one period of a cycle.
      zeta: constant in E[(d d')^2] = zeta I, above 1; d + 2 for standard normal vectors of d numbers.

    Raises:
      InputError: if zeta is at most 1.
    """
    from scipy.optimize import minimize_scalar

    phases = _checked(topology, zeta)

    def slowness(log_gap):
        return -_at(phases, zeta, 1 - math.exp(log_gap)).rate

    # At the best gamma 1 / (1 - gamma) is at most of the order of zeta; the bound 1e-3 / zeta is far beyond.
    best = minimize_scalar(slowness, bounds=(math.log(1e-3 / zeta), math.log(1 - 1e-9)), method="bounded")
    return _at(phases, zeta, 1 - math.exp(float(best.x)))


def _checked(topology: Topology | Sequence[Topology], zeta: float) -> list[Topology]:
    checks.require(zeta > 1, f"got zeta={zeta!r}, need more than 1, since E[d d'] = I; try zeta=50")
    return cycle_of(topology)


def _at(phases: list[Topology], zeta: float, gamma: float) -> QuadraticRate:
    """The rate and the step size that belong to a gamma.

    With 1 - r = (1 - lr)^2 / gamma the equation for r becomes ((1 - lr) / lr)^2 = (zeta - 1) gamma / ((1 - gamma)
    n_W(gamma)), which is solved for lr.
    """
    worst = effective_neighbours(phases, gamma).worst
    ratio = math.sqrt((zeta - 1) * gamma / ((1 - gamma) * worst))
    lr = 1 / (1 + ratio)
    return QuadraticRate(1 - (1 - lr) ** 2 / gamma, lr)
