"""Gradient tracking on strongly convex functions: rates and largest step sizes."""

from __future__ import annotations

import math

import numpy as np

from jdl import checks
from jdl.theory import assumptions
from jdl.topology.spectrum.eigenvalues import lambda_2
from jdl.topology.topology import Topology

__all__ = ["gradient_tracking", "gradient_tracking_largest_rate", "stochastic_tracking_largest_rate"]

QU_LI = "Theorem 1 of Qu and Li 2018 (gradient tracking)"
PU_NEDIC = "Theorem 1 of Pu and Nedic 2021 (stochastic gradient tracking)"


def gradient_tracking(topology: Topology, lr: float, L: float, mu: float) -> float:
    """A rate of gradient tracking: ||x_i(t) - x*|| falls at least as fast as C rate^t.

    x(t+1) = W x(t) - lr s(t), s(t+1) = W s(t) + grad(t+1) - grad(t). Three numbers, ||s - 1 g||, ||x - 1 mean|| and
    sqrt(n) ||mean - x*||, with g the mean gradient, are at most G times themselves a round later, where
        G = [[sigma + L lr, L (lr L + 2), lr L^2], [lr, sigma, 0], [0, lr L, lambda]],
    sigma = ||W - J||_2 and lambda = max(|1 - mu lr|, |1 - L lr|). The rate is the spectral radius of G. Proof: the
    mean of s is g, mean gradient steps contract by lambda, and ||x(t+1) - x(t)|| <= 2 ||x - 1 mean|| + lr ||s - 1 g||
    + lr L ||x - 1 mean|| + lr L sqrt(n) ||mean - x*||.

    Assumptions: f_i convex and L-smooth, their mean mu-strongly convex; W doubly stochastic; exact gradients; s(0) =
    grad(0).

    Args:
      topology: the graph.
      lr: step size.
      L: smoothness of every f_i.
      mu: strong convexity of the mean of f_i.

    Returns:
      The rate of a round, below 1.

    Raises:
      InputError: if W is not doubly stochastic, a constant is missing, or lr is not below
        `gradient_tracking_largest_rate`.

    >>> from jdl.topology import complete
    >>> round(gradient_tracking(complete(8), lr=0.05, L=1.0, mu=0.5), 4)
    0.9752

    References:
      Qu, Li, "Harnessing Smoothness to Accelerate Distributed Optimization", IEEE Transactions on Control of Network
      Systems 5, 2018, Theorem 1. Verified: G is from memory of the paper and was derived again, as above; simulations
      on quadratics are faster.
    """
    assumptions.doubly_stochastic(QU_LI, assumptions.one_graph(QU_LI, topology))
    L, mu = assumptions.curvature(QU_LI, L, mu)
    lr = assumptions.constant(QU_LI, "lr", lr)
    assumptions.below(QU_LI, "lr", lr, gradient_tracking_largest_rate(topology, L, mu))
    sigma, shrink = lambda_2(topology), max(abs(1 - mu * lr), abs(1 - L * lr))
    G = np.array([[sigma + L * lr, L * (lr * L + 2), lr * L**2], [lr, sigma, 0], [0, lr * L, shrink]])
    return float(np.abs(np.linalg.eigvals(G)).max())


def gradient_tracking_largest_rate(topology: Topology, L: float, mu: float) -> float:
    """The step size below which the spectral radius of G of `gradient_tracking` is below 1, in closed form.

    G has no negative entries, so its radius is below 1 if and only if the leading minors of I - G are positive. For
    lr <= 2 / (L + mu) the last of them, the determinant, is positive if and only if
    L^2 (L + mu) lr^2 + mu L (3 - sigma) lr - mu (1 - sigma)^2 < 0. The positive root is below 1 / (3 L).

    Args:
      topology: the graph, with a doubly stochastic W.
      L: smoothness of every f_i.
      mu: strong convexity of their mean.

    Raises:
      InputError: if W or the constants are outside of the theorem.

    >>> from jdl.topology import ring
    >>> round(gradient_tracking_largest_rate(ring(8), L=1.0, mu=0.1), 5)
    0.01607

    References:
      Qu, Li 2018, Theorem 1. Verified: derived here; the radius of G is 1 at this step size, to rounding.
    """
    assumptions.doubly_stochastic(QU_LI, assumptions.one_graph(QU_LI, topology))
    assumptions.connected(QU_LI, topology)
    L, mu = assumptions.curvature(QU_LI, L, mu)
    sigma = lambda_2(topology)
    a, b, c = L**2 * (L + mu), mu * L * (3 - sigma), mu * (1 - sigma) ** 2
    return (math.sqrt(b**2 + 4 * a * c) - b) / (2 * a)


def stochastic_tracking_largest_rate(topology: Topology, L: float, mu: float, share: float = 2.0) -> float:
    """The step size up to which stochastic gradient tracking (DSGT) converges linearly to a neighbourhood.

    x(t+1) = W (x(t) - lr y(t)), y(t+1) = W y(t) + g(t+1) - g(t). With rho = ||W - J||_2 and Gamma > 1,
    lr <= min{(1 - rho^2) / (12 rho L), (1 - rho^2)^2 / (2 sqrt(Gamma) L max(6 rho ||W - I||, 1 - rho^2)),
    (1 - rho^2) / (3 rho^(2/3) L) (mu^2 / L^2 (Gamma - 1) / (Gamma (Gamma + 1)))^(1/3)}.

    Assumptions: f_i mu-strongly convex and L-smooth; W doubly stochastic on a connected graph; unbiased gradients of
    bounded variance.

    Args:
      topology: the graph.
      L: smoothness of every f_i.
      mu: strong convexity of every f_i.
      share: Gamma, any number above 1.

    Raises:
      InputError: if W or a constant is outside of the theorem; and for rho = 0, where the theorem bounds nothing.

    >>> from jdl.topology import ring
    >>> round(stochastic_tracking_largest_rate(ring(8), L=1.0, mu=0.1), 5)
    0.00682

    References:
      Pu, Nedic, "Distributed stochastic gradient tracking methods", Mathematical Programming 187, 2021, Theorem 1.
      Verified: the bound and the matrix behind it were read in public lecture notes on the paper (distributed-opt, by
      Kun73, chapter 3), not in the paper; the spectral radius of that matrix is below 1 at the bound.
    """
    assumptions.doubly_stochastic(PU_NEDIC, assumptions.one_graph(PU_NEDIC, topology))
    assumptions.connected(PU_NEDIC, topology)
    L, mu = assumptions.curvature(PU_NEDIC, L, mu)
    share = assumptions.constant(PU_NEDIC, "share", share, least=1.0)
    rho = lambda_2(topology)
    exact = f"got {topology.name!r} with W = J, {PU_NEDIC} assumes rho > 0; take the step sizes of gradient descent"
    checks.require(rho > 1e-12, exact)
    rest = 1 - rho**2
    moved = float(np.linalg.norm(topology.weights.toarray() - np.eye(topology.n), 2))
    return min(
        rest / (12 * rho * L),
        rest**2 / (2 * math.sqrt(share) * L * max(6 * rho * moved, rest)),
        rest / (3 * rho ** (2 / 3) * L) * (mu**2 / L**2 * (share - 1) / (share * (share + 1))) ** (1 / 3),
    )
