"""Push-sum and stochastic gradient push over directed graphs: how fast ratios reach the mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jdl import checks
from jdl.theory import assumptions
from jdl.theory.consensus import transient
from jdl.topology.spectrum.periods import cycle_of, gossip
from jdl.topology.topology import Topology

__all__ = ["PushSum", "push_sum", "push_sum_worst_case"]

CLAIM = "the convergence of push-sum (Kempe et al. 2003; Nedic and Olshevsky 2015)"


class PushSum(NamedTuple):
    """The convergence of push-sum: |z_i(t) - mean| <= constant / least_weight rate^t ||x(0) - mean||_2 after t periods.

    Attributes:
      rate: factor of a period.
      constant: C with ||P^t - pi 1'||_2 <= C rate^t; 1 if `rate` is the factor of the first period already.
      least_weight: the smallest weight w_i(t) that any node ever has; 1 if P is doubly stochastic.
    """

    rate: float
    constant: float
    least_weight: float

    def after(self, periods: int) -> float:
        """The bound on |z_i - mean| over ||x(0) - mean||_2 after a number of periods."""
        return self.constant * self.rate**periods / self.least_weight


def push_sum(topology: Topology | Sequence[Topology]) -> PushSum:
    """The rate of push-sum on given graphs, from their eigenvalues.

    x(t+1) = P x(t), w(t+1) = P w(t), w(0) = 1, z = x / w. The columns of P sum to one. With P^t = pi 1' + E(t),
    z_i(t) - mean = (E(t) (x(0) - mean 1))_i / w_i(t), since w(t) = P^t 1 and 1'(x(0) - mean 1) = 0. `transient` bounds
    ||E(t)||. For stochastic gradient push the same factors multiply the disagreement that each gradient step adds.

    Assumptions: P column stochastic with positive diagonal, the union of a period strongly connected.

    Args:
      topology: one column (or doubly) stochastic topology, or one period of a cycle.

    Returns:
      The numbers of the bound, see `PushSum`.

    Raises:
      InputError: if a W is only row stochastic, the graph not strongly connected, or gossip does not converge.

    >>> from jdl.topology import ring
    >>> [round(number, 4) for number in push_sum(ring(8))]
    [0.8047, 1.0, 1.0]

    References:
      Kempe, Dobra, Gehrke, "Gossip-based computation of aggregate information", FOCS 2003. Assran, Loizou, Ballas,
      Rabbat, "Stochastic Gradient Push for Distributed Deep Learning", ICML 2019. Verified: derived here; simulations
      of push-sum stay below the bound, for each node and round.
    """
    phases = cycle_of(topology)
    for phase in phases:
        need = f"got {phase.name!r} whose W is row stochastic, {CLAIM} assumes column stochastic weights"
        checks.require(phase.stochastic != "row", f"{need}; use a column stochastic W")
    assumptions.connected(CLAIM, phases)
    decay = transient(phases)
    finite = np.isfinite(decay.constant)
    rate, constant = (decay.rate, decay.constant) if finite else (decay.one, 1.0)
    never = (
        f"got a cycle that does not converge (factor {rate:.6g}), {CLAIM} assumes positive diagonals; add self-loops"
    )
    checks.require(rate < 1 - 1e-12, never)
    return PushSum(rate, constant, _least_weight(phases))


def push_sum_worst_case(n: int, period: int = 1, regular: bool = False) -> PushSum:
    """The rate of push-sum that holds for every sequence of graphs on n nodes: far too slow for any given one.

    Each node splits its values into equal shares for its out-neighbours and itself. Then the entries in one row of P(t)
    ... P(s) differ from a common number by at most 4 rate^(t - s), rate = (1 - n^(-n B))^(1 / B), and weights stay
    above n^(-n B). If all graphs are regular, 2 sqrt(2) takes the place of 4, the rate is (1 - 1 / (4 n^3))^(1 / B),
    and weights stay 1.

    Assumptions: the union of any B consecutive graphs is strongly connected, with self-loops.

    Args:
      n: number of nodes.
      period: B.
      regular: whether in every round all nodes have the same in- and out-degree.

    Returns:
      The rate of a round, the constant for single entries, and the least weight. `push_sum` has a rate of a period, and
      a constant for norms.

    Raises:
      InputError: if n or B are no whole numbers above 0.

    >>> push_sum_worst_case(8, regular=True).rate
    0.99951171875

    References:
      Nedic, Olshevsky, "Distributed optimization over time-varying directed graphs", IEEE Transactions on Automatic
      Control 60, 2015, Corollary 2. Verified: from memory of the paper; entries of products of random graphs stay
      within the bound.
    """
    n, period = checks.whole("n", n, 1), checks.whole("period", period, 1)
    if regular:
        return PushSum((1 - 1 / (4 * n**3)) ** (1 / period), 2 * 2**0.5, 1.0)
    least = float(n) ** (-n * period)
    return PushSum((1 - least) ** (1 / period), 4.0, least)


def _least_weight(phases: list[Topology]) -> float:
    """The smallest entry of w(t) over all rounds until it has settled."""
    w, least = np.ones((phases[0].n, 1)), 1.0
    for _ in range(10_000):
        before = w
        for phase in phases:
            w = gossip(phase, w)
            least = min(least, float(w.min()))
        if np.abs(w - before).max() < 1e-13:
            break
    return least
