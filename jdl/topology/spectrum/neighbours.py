"""The effective number of neighbours: with how many others a node averages away its noise, in a given time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jdl import checks
from jdl.topology.spectrum import walks
from jdl.topology.spectrum.periods import cycle_of, gossip
from jdl.topology.topology import Topology, fourier

__all__ = ["EffectiveNeighbours", "effective_neighbours", "neighbours_of"]

# Products of matrices of this size, some twenty of them, take a second or two.
DENSE_NODES = 1100


class EffectiveNeighbours(NamedTuple):
    """Effective numbers of neighbours: of each node, of all, of the node that has fewest.

    each: `float[n]`, 1 / (1 - gamma) over a node's own variance. mean: 1 / (1 - gamma) over the mean variance (so the
    harmonic mean of `each`). worst: the least of `each`. error: relative standard error of the numbers in `each`; 0
    where they are exact. Elsewhere `mean` is off by far less if W is doubly stochastic (and by as much if not), and
    `worst` was computed anew for the nodes that seem to have fewest.
    """

    each: np.ndarray
    mean: float
    worst: float
    error: float


def effective_neighbours(topology: Topology | Sequence[Topology], gamma: float) -> EffectiveNeighbours:
    """How many neighbours a node seems to have, once information has had 1 / (1 - gamma) rounds to spread.

    Every round each node adds unit noise to its value, and gossips: x <- W (sqrt(gamma) x + noise). Alone, its variance
    would settle at 1 / (1 - gamma); it settles at S_ii, where S = W (gamma S + I) W'. The effective number of
    neighbours is n_W(gamma) = [1 / (1 - gamma)] / S_ii: 1 where nobody talks, n where W = J, in between elsewhere. For
    symmetric W the mean of S_ii over nodes is that of lambda^2 / (1 - gamma lambda^2) over the eigenvalues. In a cycle
    the variance is averaged over the period.

    Exact to rounding if W is circulant or averages within groups (then any n will do), and up to 1100 nodes. Beyond,
    simulated on probes: see `error` of `Neighbours`. The mean is exact still where the topology has a closed-form
    spectrum; and if the variances of eight random nodes, which are then computed exactly, equal that mean, all nodes
    are taken to be alike (as on a torus or a hypercube) and nothing is estimated.

    Args:
      topology: one, or one period of a cycle; W of any kind.
      gamma: decay of what a node knew before, between 0 and 1, less than 1. 0.95 looks back some 20 rounds.

    >>> from jdl.topology import ring
    >>> round(effective_neighbours(ring(32), gamma=0.951).mean, 2)
    8.86

    References:
      Vogels, Hendrikx, Jaggi, "Beyond spectral gap: The role of the topology in decentralized learning", NeurIPS 2022
      (the definition of the effective number of neighbours, in section 3).
    """
    phases = cycle_of(topology)
    real = isinstance(gamma, int | float) and 0 <= gamma < 1
    checks.require(bool(real), f"got gamma={gamma!r}, need a number from 0 to less than 1; try gamma=0.95")
    n = phases[0].n
    if all(phase.shifts is not None for phase in phases):
        return neighbours_of(np.full(n, _circulant(phases, gamma)), gamma)
    if len(phases) == 1 and phases[0].groups is not None:
        return neighbours_of(1 / (1 - gamma) / (1.0 + phases[0].degree), gamma)
    if n <= DENSE_NODES:
        return neighbours_of(_dense(phases, gamma), gamma)
    return _large(phases, gamma)


def neighbours_of(variance: np.ndarray, gamma: float, error: float = 0.0) -> EffectiveNeighbours:
    """The numbers that belong to the stationary variance of each node."""
    alone = 1 / (1 - gamma)
    return EffectiveNeighbours(alone / variance, float(alone / variance.mean()), float(alone / variance.max()), error)


def _circulant(phases: list[Topology], gamma: float) -> float:
    """The variance that all nodes have: frequencies do not mix, s <- |w|^2 (gamma s + 1) for each of them."""
    power = [np.abs(fourier(phase.weights)) ** 2 for phase in phases]
    slope, s = gamma ** len(phases) * np.prod(power, axis=0), np.zeros(phases[0].n)
    for w in power:
        s = w * (gamma * s + 1)
    s, total = s / (1 - slope), 0.0
    for w in power:
        s = w * (gamma * s + 1)
        total += s.mean()
    return total / len(phases)


def _dense(phases: list[Topology], gamma: float) -> np.ndarray:
    """S of the last phase solves S = A S A' + B, over a period; doubled: S <- S + A S A', A <- A A."""
    n = phases[0].n
    decay, S = np.eye(n), np.zeros((n, n))
    for phase in phases:
        decay, S = np.sqrt(gamma) * gossip(phase, decay), _step(phase, S, gamma)
    while True:
        more = decay @ S @ decay.T
        S = S + more
        if np.abs(more).max() <= 1e-15 * np.abs(S).max():
            break
        decay = decay @ decay
    total = np.zeros(n)
    for phase in phases:
        S = _step(phase, S, gamma)
        total += S.diagonal()
    return total / len(phases)


def _step(phase: Topology, S: np.ndarray, gamma: float) -> np.ndarray:
    """W (gamma S + I) W'."""
    half = gossip(phase, gamma * S + np.eye(len(S)))
    return gossip(phase, half.T)


def _large(phases: list[Topology], gamma: float) -> EffectiveNeighbours:
    rounds = [walks.of_topology(phase) for phase in phases]
    doubly = all(phase.stochastic == "doubly" for phase in phases)
    first, n, mean = phases[0], phases[0].n, None
    if len(phases) == 1 and first.symmetric and first.spectrum is not None:
        square = np.asarray(first.spectrum()) ** 2
        mean = float(np.mean(square / (1 - gamma * square)))
        some = np.random.default_rng(0).choice(n, size=8, replace=False)
        if np.allclose(walks.variance_of(some, rounds, gamma, doubly)[0], mean, rtol=1e-6, atol=0):
            return neighbours_of(np.full(n, mean), gamma)
    variance, error = walks.variances(rounds, gamma, doubly)
    suspects = np.argsort(variance)[-32:]
    exact, rest = walks.variance_of(suspects, rounds, gamma, doubly)
    variance[suspects] = exact
    alone = 1 / (1 - gamma)
    mean = float(variance.mean()) if mean is None else mean
    return EffectiveNeighbours(alone / variance, alone / mean, float(alone / exact.max()), max(error, rest))
