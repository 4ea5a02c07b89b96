"""Random schedules: the expected contraction of a round, from closed forms."""

from __future__ import annotations

import functools

import numpy as np

from jdl import checks
from jdl.schedule import Equidyn, Fixed, Matcha, Matching, Pairwise
from jdl.theory import assumptions
from jdl.theory.outcomes import contraction_of_outcomes, outcomes
from jdl.topology.spectrum import activation
from jdl.topology.topology import Topology
from jdl.types import Schedule

__all__ = ["lossy_contraction", "random_contraction"]


@functools.singledispatch
def random_contraction(schedule: Schedule) -> float:
    """The factor of a random round on disagreement, in the mean square, from a closed form.

    It is the root of rho = ||E[W' (I - J) W]||_2: E||W x - mean||^2 <= rho ||x - mean||^2 for every x, with equality
    for the worst x. If rounds are drawn independently, t of them leave at most rho^t in expectation.

    - `Fixed`: lambda_2^2, of a doubly stochastic W.
    - `Matching`, n even: (n - 2) / (2 (n - 1)); n odd: 1/2. W is a projection, so E[W'W] = E[W], in which each pair has
      the weight 1 / (2 (n - 1)), and 1 / (2 n).
    - `Pairwise`: 1 - lambda_2(L) / (2 m) for m edges with Laplacian L; 1 - 1 / (n - 1) for all pairs.
    - `Matcha`: ||I - 2 a L + a^2 (L^2 + 2 V) - J||, see `jdl.topology.spectrum.activation.contraction`.
    - `Equidyn`, directed: W is circulant with eigenvalues w(k), and rho is the largest mean of |w(k)|^2 over the
      shifts, of all Fourier modes k other than 0.

    Args:
      schedule: one of these schedules. For others see `jdl.topology.expected_contraction`, which samples rounds, and
        `contraction_of_outcomes`.

    Raises:
      InputError: if no closed form is known for this schedule.

    >>> from jdl.schedule import Matching, Pairwise
    >>> round(random_contraction(Matching(8)) ** 2, 4), round(random_contraction(Pairwise(8)) ** 2, 4)
    (0.4286, 0.8571)

    References:
      Boyd, Ghosh, Prabhakar, Shah, "Randomized gossip algorithms", IEEE Transactions on Information Theory 52, 2006.
      Wang, Sahu, Yang, Joshi, Kar, "MATCHA: Speeding Up Decentralized SGD via Matching Decomposition Sampling", 2019.
    """
    known = "Fixed, Matching, Pairwise, Matcha and a directed Equidyn"
    need = f"got the schedule {type(schedule).__name__}, a closed form is known for {known}"
    raise checks.InputError(f"{need}; use jdl.topology.expected_contraction, which samples rounds")


@random_contraction.register
def _(schedule: Fixed) -> float:
    return contraction_of_outcomes(outcomes(schedule))


@random_contraction.register
def _(schedule: Matching) -> float:
    n = schedule.n
    if n < 3:
        return 0.0
    return float(np.sqrt((n - 2) / (2 * (n - 1)) if n % 2 == 0 else 1 / 2))


@random_contraction.register
def _(schedule: Pairwise) -> float:
    n = schedule.n
    if n < 3:
        return 0.0
    if schedule.edges is None:
        return float(np.sqrt(1 - 1 / (n - 1)))
    laplacian = np.zeros((n, n))
    for i, j in np.asarray(schedule.edges):
        laplacian[[i, j], [i, j]] += 1
        laplacian[[i, j], [j, i]] -= 1
    return float(np.sqrt(1 - np.linalg.eigvalsh(laplacian)[1] / (2 * len(schedule.edges))))


@random_contraction.register
def _(schedule: Matcha) -> float:
    partners, p = np.asarray(schedule.partners).T, np.asarray(schedule.probabilities, np.float64)
    return float(np.sqrt(max(0.0, activation.contraction(partners, p, float(schedule.alpha)))))


@random_contraction.register
def _(schedule: Equidyn) -> float:
    need = "got an undirected Equidyn, whose matchings have no closed form; use jdl.topology.expected_contraction"
    checks.require(schedule.directed, need)
    n, eta = schedule.n, float(schedule.eta)
    if n == 1:
        return 0.0
    modes = np.arange(1, n)[:, None]
    moved = np.exp(2j * np.pi * modes * np.asarray(schedule.shifts)[None, :] / n)
    factors = 1 - eta * (n - 1) / n + eta * (n - 1) / n * moved
    return float(np.sqrt(np.mean(np.abs(factors) ** 2, axis=1).max()))


def lossy_contraction(topology: Topology, probability: float) -> float:
    """The factor of a round on disagreement, in the mean square, if each undirected link fails independently.

    A failed link gives its weight back to both its ends, as `jdl.exchange.Lossy` does: W = I - sum_e B_e w_e L_e over
    the links e = (i, j) with L_e = (e_i - e_j)(e_i - e_j)', B_e = 1 with probability q = 1 - p. With the Laplacians
    L = sum_e w_e L_e and V = sum_e w_e^2 L_e, E[W'W] = (I - q L)^2 + 2 q (1 - q) V, since L_e^2 = 2 L_e.

    Args:
      topology: topology with a symmetric, doubly stochastic W.
      probability: p, that a link fails in a round, 0 to 1.

    Raises:
      InputError: if W is not symmetric and doubly stochastic, or p is not a probability.

    >>> from jdl.topology import ring
    >>> round(lossy_contraction(ring(8), 0.0), 4), round(lossy_contraction(ring(8), 0.5), 4)
    (0.8047, 0.9202)
    """
    theorem = "the second moment of W under independent link failures"
    assumptions.symmetric(theorem, topology)
    checks.bounded("probability", probability, 0, 1, 0.1)
    W, n, q = topology.weights.toarray(), topology.n, 1 - float(probability)
    weights = W - np.diag(W.diagonal())
    L, V = (np.diag(part.sum(axis=1)) - part for part in (weights, weights**2))
    mean = np.eye(n) - q * L
    moment = mean @ mean + 2 * q * (1 - q) * V - 1 / n
    return float(np.sqrt(np.linalg.norm(moment, 2))) if n > 1 else 0.0
