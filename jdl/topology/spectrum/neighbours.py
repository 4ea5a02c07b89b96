"""The effective number of neighbours: over how many nodes a node averages its noise within a given time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jdl import checks
from jdl.topology.spectrum import walks
from jdl.topology.spectrum.periods import cycle_of, gossip
from jdl.topology.topology import Topology, fourier

__all__ = ["EffectiveNeighbours", "effective_neighbours", "neighbours_of"]

# Some twenty products of matrices of this size take a second or two.
DENSE_NODES = 1100


class EffectiveNeighbours(NamedTuple):
    """Effective numbers of neighbours of each node, of the graph, and of the node that has the fewest.

    Attributes:
      each: `float[n]`, 1 / (1 - gamma) divided by the variance of the node.
      mean: 1 / (1 - gamma) divided by the mean variance, which is the harmonic mean of `each`.
      worst: smallest number in `each`. If numbers are estimated, it is computed again, more precisely, for the nodes
        that seem to have the fewest.
      error: relative standard error of the numbers in `each`; 0 where they are exact. The error of `mean` is much
        smaller if W is doubly stochastic, and as large if not.
    """

    each: np.ndarray
    mean: float
    worst: float
    error: float


def effective_neighbours(topology: Topology | Sequence[Topology], gamma: float) -> EffectiveNeighbours:
    """The number of neighbours that a node effectively has, if information spreads for about 1 / (1 - gamma) rounds.

    Every round each node adds unit noise to its value and gossips: x <- W (sqrt(gamma) x + noise). Alone, its variance
    would converge to 1 / (1 - gamma); it converges to S_ii, where S = W (gamma S + I) W'. The effective number of
    neighbours is n_W(gamma) = [1 / (1 - gamma)] / S_ii: 1 without communication, n for W = J, and in between otherwise.
    For symmetric W the mean of S_ii over nodes is that of lambda^2 / (1 - gamma lambda^2) over the eigenvalues. For a
    cycle of topologies the variance is averaged over the period.

    The numbers are exact to rounding if W is circulant or averages within groups (for any n), and up to 1100 nodes. For
    larger graphs they are simulated on random probes: see `error` of `EffectiveNeighbours`. The mean is still exact
    where the topology has a closed-form spectrum. If the variances of eight random nodes, which are then computed
    exactly, equal that mean, all nodes are taken to be equivalent (as on a torus or a hypercube) and nothing is
    estimated.

    Args:
      topology: one topology, or one period of a cycle, with any W.
      gamma: decay of a node's former value, from 0 to below 1. 0.95 corresponds to some 20 rounds.

    Raises:
      InputError: if gamma is not a number from 0 to below 1.

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
    """The effective numbers of neighbours for the stationary variance of each node."""
    alone = 1 / (1 - gamma)
    return EffectiveNeighbours(alone / variance, float(alone / variance.mean()), float(alone / variance.max()), error)


def _circulant(phases: list[Topology], gamma: float) -> float:
    """The variance of all nodes: Fourier modes are independent, with s <- |w|^2 (gamma s + 1) for each of them."""
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
    """S of the last phase, which solves S = A S A' + B over a period, by doubling: S <- S + A S A', A <- A A."""
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
