"""EXTRA: its largest step sizes, and its rate on quadratics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jdl.theory import assumptions
from jdl.topology.spectrum.eigenvalues import eigenvalues
from jdl.topology.topology import Topology

__all__ = ["ExtraLargestRate", "extra_largest_rate", "extra_rate"]

SHI = "Theorem 3.3 of Shi et al. 2015 (EXTRA)"


class ExtraLargestRate(NamedTuple):
    """Two step sizes below which EXTRA converges on convex functions.

    Attributes:
      shi: 2 lambda_min((I + W) / 2) / L, of the first paper.
      tight: (5 + 3 lambda_min(W)) / (4 L), which is larger, and reached by quadratics.
    """

    shi: float
    tight: float


def extra_largest_rate(topology: Topology, L: float) -> ExtraLargestRate:
    """The step sizes below which EXTRA with (I + W) / 2 as its second matrix converges.

    x(t+2) = (I + W) x(t+1) - (I + W) / 2 x(t) - lr (g(t+1) - g(t)). Shi et al.: lr < 2 lambda_min((I + W) / 2) / L.
    Li and Yan: lr < (5 + 3 lambda_min(W)) / (4 L). The second cannot be improved: along an eigenvector of W with lambda
    and for the Hessian a I, a root of r^2 - (1 + lambda - lr a) r + (1 + lambda) / 2 - lr a leaves the unit circle at
    -1 when lr a = (5 + 3 lambda) / 4, by Jury's criterion.

    Assumptions: f_i convex and L-smooth; W symmetric and doubly stochastic on a connected graph, its smallest
    eigenvalue above -1.

    Args:
      topology: the graph.
      L: smoothness of every f_i.

    Raises:
      InputError: if W is not symmetric or has the eigenvalue -1, if the graph is not connected, or L is missing.

    >>> from jdl.topology import ring
    >>> [round(lr, 4) for lr in extra_largest_rate(ring(8), L=1.0)]
    [0.6667, 1.0]

    References:
      Shi, Ling, Wu, Yin, "EXTRA: An Exact First-Order Algorithm for Decentralized Consensus Optimization", SIAM Journal
      on Optimization 25, 2015, Theorem 3.3. Li, Yan, "On the linear convergence of two decentralized algorithms",
      Journal of Optimization Theory and Applications 189, 2021. Verified: abstracts read, bounds from memory; the
      second was derived for equal Hessians as above, and simulations converge just below it and diverge just beyond.
    """
    _, smallest = assumptions.smallest_eigenvalue(SHI, topology, -1 + 1e-12)
    assumptions.connected(SHI, topology)
    L = assumptions.constant(SHI, "L", L)
    smallest = smallest if topology.n > 1 else 1.0
    return ExtraLargestRate((1 + smallest) / L, (5 + 3 * smallest) / (4 * L))


def extra_rate(topology: Topology, lr: float, curvatures: Sequence[float]) -> float:
    """The exact rate of EXTRA on quadratics that share one Hessian: ||X(t) - 1 x*|| falls as rate^t (times t).

    It is the largest modulus of the roots of r^2 - (1 + lambda - lr a) r + (1 + lambda) / 2 - lr a over the eigenvalues
    lambda < 1 of W and the curvatures a; and |1 - lr a| for lambda = 1, where the first round, a step of D-SGD, leaves
    out the root 1.

    Assumptions: W symmetric and doubly stochastic, its smallest eigenvalue above -1.

    Args:
      topology: the graph.
      lr: step size.
      curvatures: the eigenvalues of the Hessian.

    Returns:
      The factor of a round after many rounds; above 1 if it diverges.

    Raises:
      InputError: if W is outside of the assumption, or a number is not positive.

    >>> from jdl.topology import ring
    >>> round(extra_rate(ring(8), 0.9, [1.0]), 4)
    0.9021

    References:
      Shi et al. 2015 (the update rule). Verified: derived here; equals a simulation of the update rule.
    """
    assumptions.smallest_eigenvalue(SHI, topology, -1 + 1e-12)
    lr = assumptions.constant(SHI, "lr", lr)
    hessian = assumptions.curvatures(SHI, curvatures)
    modes = np.real(eigenvalues(topology))[1:]
    worst = [max(abs(1 - lr * a) for a in hessian)]
    worst += [
        np.abs(np.roots([1, -(1 + mode - lr * a), (1 + mode) / 2 - lr * a])).max() for mode in modes for a in hessian
    ]
    return float(max(worst))
