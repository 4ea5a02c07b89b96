"""How far apart models of D-SGD stay with a constant step size."""

from __future__ import annotations

import math
from collections.abc import Sequence

from jdl.theory import assumptions
from jdl.topology.spectrum.periods import contraction
from jdl.topology.topology import Topology

__all__ = ["consensus_distance"]

CLAIM = "the bound on the consensus distance of D-SGD"


def consensus_distance(
    topology: Topology | Sequence[Topology], lr: float, spread_squared: float, sigma_squared: float = 0.0
) -> float:
    """A bound on (1 / n) E sum_i ||x_i - mean||^2 of X <- W (X - lr G) in every round, from equal models.

    The part of G that is known before the round has (1 / n) sum_i ||g_i - mean_j g_j||^2 <= spread^2 at the current
    models, and independent noise of variance at most sigma^2 at each node. Disagreement follows U <- (W - J)(U - lr
    (D + N)). By the triangle inequality for the root of the mean square, D contributes lr sqrt(n) spread (lambda +
    lambda^2 + ...), and N, of which different rounds are uncorrelated, the root of lr^2 n sigma^2 (lambda^2 + lambda^4
    + ...). So the bound is lr^2 lambda^2 (spread / (1 - lambda) + sigma / sqrt(1 - lambda^2))^2. For a cycle of period
    T whose product contracts by q, the last k rounds contain at least (k - T + 1) / T whole periods, rounded down, so
    that the sums are at most 2 (T - 1) + T q / (1 - q) and 2 (T - 1) + T q^2 / (1 - q^2).

    Assumptions: W doubly stochastic. If gradients are bounded by G, spread <= G; with heterogeneity zeta^2 and
    L-smooth functions, spread^2 is zeta^2 at consensus, and grows with the distance.

    Args:
      topology: one topology, or one period of a cycle.
      lr: step size.
      spread_squared: mean over nodes of the squared deviation of gradients from their mean.
      sigma_squared: variance of a node's stochastic gradient.

    Raises:
      InputError: if W is not doubly stochastic, if gossip does not converge, or if a constant is missing or negative.

    >>> from jdl.topology import complete, ring
    >>> consensus_distance(complete(8), lr=0.1, spread_squared=1.0), round(consensus_distance(ring(8), 0.1, 1.0), 4)
    (0.0, 0.1699)

    References:
      Derived here; the terms are those of Lemma 9 of Koloskova et al. 2020 (see `unified`) without its constants.
      Verified: by its proof, above; constant gradients along the leading eigenvector reach it, simulations of noise and
      of cycles stay below it.
    """
    phases = assumptions.doubly_stochastic(CLAIM, topology)
    assumptions.connected(CLAIM, phases)
    lr = assumptions.constant(CLAIM, "lr", lr)
    spread = assumptions.constant(CLAIM, "spread_squared", spread_squared, strict=False)
    noise = assumptions.constant(CLAIM, "sigma_squared", sigma_squared, strict=False)
    factor, period = contraction(phases).period, len(phases)
    known = 2 * (period - 1) + period * factor / (1 - factor)
    random = math.sqrt(2 * (period - 1) + period * factor**2 / (1 - factor**2))
    return lr**2 * (known * math.sqrt(spread) + random * math.sqrt(noise)) ** 2
