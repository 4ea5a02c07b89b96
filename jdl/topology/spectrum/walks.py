"""The stationary variance of noisy gossip on graphs too large for matrices: random probes, and single nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from jdl.topology.spectrum.periods import gossip
from jdl.topology.topology import Topology

__all__ = ["Round", "of_matrix", "of_topology", "variance_of", "variances"]

# The number of scalar operations: a few seconds. Fewer mean fewer probes and a larger error, which is reported.
WORK = 2e9
SETTLED = 1e-7


class Round(NamedTuple):
    """One round of gossip as functions of `float[n, k]`: x -> W x and x -> W' x; and the cost of W x for k = 1."""

    n: int
    forward: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray]
    cost: int


def of_topology(topology: Topology) -> Round:
    """The round that uses every link of a topology."""
    links = 4 * topology.n if topology.groups is not None else topology.weights.nnz
    forward, back = (lambda x: gossip(topology, x)), (lambda x: gossip(topology, x, transposed=True))
    return Round(topology.n, forward, back, topology.n + links)


def of_matrix(W: csr_array) -> Round:
    """The round of a matrix."""
    transposed = W.T
    return Round(W.shape[0], (lambda x: W @ x), (lambda x: transposed @ x), W.shape[0] + W.nnz)


def variances(rounds: Sequence[Round], gamma: float, doubly: bool, seed: int = 0) -> tuple[np.ndarray, float]:
    """The stationary variance of x <- W (sqrt(gamma) x + noise) at each node, averaged over a cycle of rounds.

    It is simulated on random probes: first for a time in which the start is forgotten, then for the same time again,
    over which the squares are averaged. If W is doubly stochastic, the mean over nodes, which forgets slowest and whose
    variance 1 / (n (1 - gamma)) is known, is removed and added at the end.

    Returns:
      `float[n]`, and the relative standard error of its numbers, from the differences between probes.
    """
    n, period = rounds[0].n, len(rounds)
    memory = _lifetime(rounds, gamma, doubly)
    length = -(-memory // period) * period
    cost = sum(one.cost for one in rounds) / period + 8 * n  # drawing the noise costs more than a product with it
    probes = int(np.clip(WORK / cost / (2 * length), 4, 256))
    rng = np.random.default_rng(seed)
    x, total = np.zeros((n, probes)), np.zeros((n, probes))
    for t in range(2 * length):
        x = rounds[t % period].forward(np.sqrt(gamma) * x + rng.choice((-1.0, 1.0), size=(n, probes)))
        if doubly:
            x -= x.mean(axis=0, keepdims=True)
        if t >= length:
            total += x * x
    each = total / length
    known = 1 / (n * (1 - gamma)) if doubly else 0.0
    variance = each.mean(axis=1) + known
    spread = each.std(axis=1, ddof=1) / np.sqrt(probes)
    return variance, float(np.sqrt(np.mean((spread / variance) ** 2)))


def variance_of(nodes: np.ndarray, rounds: Sequence[Round], gamma: float, doubly: bool) -> tuple[np.ndarray, float]:
    """The same for some nodes only, without noise: the sum over k of gamma^k ||W(t-k)' ... W(t)' e_i||^2.

    Returns:
      `float[len(nodes)]`, and a bound on the relative truncation error of the series.
    """
    n, period = rounds[0].n, len(rounds)
    cost = sum(one.cost for one in rounds) / period
    most = max(50, int(WORK / cost / len(nodes) / period))
    total, rest = np.zeros(len(nodes)), 0.0
    for last in range(period):
        x, k, sums = np.zeros((n, len(nodes))), 0, np.zeros(len(nodes))
        x[nodes, np.arange(len(nodes))] = 1.0
        while True:
            x = rounds[(last - k) % period].back(x)
            x = x - x.mean(axis=0, keepdims=True) if doubly else x
            square = np.sum(x * x, axis=0)
            sums += gamma**k * square
            k += 1
            left = gamma**k / (1 - gamma) * square.max()  # squares do not grow if W is doubly stochastic
            if left <= SETTLED * sums.max() / 10 or k >= most:
                break
        total, rest = total + sums, max(rest, left / sums.max())
    return total / period + (1 / (n * (1 - gamma)) if doubly else 0.0), (rest if rest > SETTLED else 0.0)


def _lifetime(rounds: Sequence[Round], gamma: float, doubly: bool) -> int:
    """Rounds until a probe has forgotten all but a thousandth of its start, limited by the work for 4 probes."""
    n, period = rounds[0].n, len(rounds)
    most = max(20, int(WORK / 8 / (sum(one.cost for one in rounds) / period + 8 * n)))
    x = np.random.default_rng(1).standard_normal((n, 1))
    start = np.linalg.norm(x)
    for t in range(most):
        x = np.sqrt(gamma) * rounds[t % period].forward(x)
        x = x - x.mean() if doubly else x
        if np.linalg.norm(x) <= 1e-3 * start and t % period == period - 1:
            return t + 1
    return most
