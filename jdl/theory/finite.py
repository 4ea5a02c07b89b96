"""Exact averaging in finitely many rounds: by graphs whose product is J, and by step sizes over one graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jdl.theory import assumptions
from jdl.topology.spectrum.eigenvalues import eigenvalues
from jdl.topology.spectrum.periods import cycle_of, gossip
from jdl.topology.topology import Topology

__all__ = ["finite_time", "finite_time_steps"]

EXACT = 1e-9  # a round that leaves less than this part of the disagreement averages exactly, up to rounding


def finite_time(topology: Topology | Sequence[Topology]) -> int | None:
    """The number of rounds, from round 0, after which gossip has averaged exactly; None if it never does.

    A cycle may need several periods, and a single W that is not normal several rounds: W^k = J if all its eigenvalues
    but the 1 are zero, as in a de Bruijn graph. Since P - J is then nilpotent, n - 1 periods are enough if any number
    is (Cayley and Hamilton). `jdl.topology.exact_after_rounds` looks within one period alone.

    Args:
      topology: one topology, or one period of a cycle, with any W.

    Returns:
      The smallest number of rounds k with W(k-1) ... W(0) = J, or None. For one node: 0.

    >>> import numpy as np
    >>> from jdl.topology import from_weights, one_peer_exponential, ring
    >>> de_bruijn = from_weights(np.kron(np.ones((2, 1)), np.kron(np.eye(8), [[0.5, 0.5]])))
    >>> finite_time(de_bruijn), finite_time(one_peer_exponential(16)), finite_time(ring(16))
    (4, 4, None)
    """
    phases = cycle_of(topology)
    n = phases[0].n
    if n == 1:
        return 0
    x = np.random.default_rng(0).standard_normal((n, 4))  # with probability one, only J maps these to 0
    x, ones, done = x - x.mean(axis=0), np.ones((n, 1)), 0
    for _ in range(n - 1):
        for phase in phases:
            x, ones, done = gossip(phase, x / np.linalg.norm(x)), gossip(phase, ones), done + 1
            if np.linalg.norm(x) <= EXACT:
                return done if np.abs(ones - 1).max() <= EXACT else None
        if len(phases) == 1 and phases[0].symmetric:
            return None  # a symmetric W - J is nilpotent only if it is zero
    return None


def finite_time_steps(topology: Topology) -> np.ndarray:
    """The step sizes with which any symmetric W averages exactly in finitely many rounds: `float[k]`.

    Round t is x <- x + a_t (W x - x) with a_t = 1 / (1 - lambda_t), over the k distinct eigenvalues of W other than 1,
    since prod_t (W - lambda_t I) / (1 - lambda_t) = J. No smaller number of such rounds averages exactly. The largest
    steps come first; rounding errors grow fast with k, so that it is of use for some twenty distinct eigenvalues.

    Args:
      topology: topology with a symmetric W and a connected graph.

    Raises:
      InputError: if W is not symmetric, or the graph not connected.

    >>> from jdl.topology import hypercube
    >>> print(finite_time_steps(hypercube(8)).round(4))
    [2.     1.     0.6667]

    References:
      Kibangou, "Finite-time average consensus based protocol for distributed estimation over AWGN channels", CDC 2011.
      Hendrickx, Jungers, Olshevsky, Vankeerberghen, "Graph diameter, eigenvalues, and minimum-time consensus",
      Automatica 50, 2014.
    """
    theorem = "minimum-time consensus by the eigenvalues of W (Kibangou 2011)"
    assumptions.symmetric(theorem, topology)
    assumptions.connected(theorem, topology)
    values = np.sort(np.real(eigenvalues(topology)))[::-1][1:]
    distinct = values[np.append(True, np.diff(values) < -1e-9)] if len(values) else values
    return 1 / (1 - distinct)
