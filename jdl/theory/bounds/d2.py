"""D2 and exact diffusion: bounds on W and on the step size, and linear rates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jdl.theory import assumptions
from jdl.topology.spectrum.eigenvalues import eigenvalues
from jdl.topology.topology import Topology

__all__ = ["d2_largest_rate", "d2_rate", "exact_diffusion", "exact_diffusion_largest_rate"]

TANG = "Assumption 1 of Tang et al. 2018 (D2)"
# The eigenvalue -1/3 itself, as of rings of even size, is not above -1/3, whichever way it is rounded.
TANG_LEAST = -1 / 3 + 1e-9
ALGHUNAIM = "Theorem 1 of Alghunaim et al. 2020 (PUDA, here exact diffusion)"


def d2_rate(topology: Topology, lr: float, curvatures: Sequence[float]) -> float:
    """The exact rate of D2 on quadratics that share one Hessian: ||X(t) - 1 x*|| falls as rate^t (times t).

    X(t+1) = W (2 X(t) - X(t-1) - lr (G(t) - G(t-1))). Along an eigenvector of W with lambda and one of the Hessian with
    curvature a, z(t+1) = lambda (2 - lr a) z(t) - lambda (1 - lr a) z(t-1), so the rate is the largest modulus of the
    roots of r^2 - lambda (2 - lr a) r + lambda (1 - lr a). For lambda = 1 the roots are 1 - lr a and 1; the first round
    is a gradient step, which leaves out the 1. Linear terms b_i may differ from node to node; they move the fixed point
    only.

    Assumptions: W symmetric and doubly stochastic; its smallest eigenvalue above -1/3.

    Args:
      topology: the graph.
      lr: step size.
      curvatures: the eigenvalues of the Hessian.

    Returns:
      The factor of a round after many rounds; above 1 if it diverges.

    Raises:
      InputError: if W is outside of the assumption, or a number is not positive.

    >>> from jdl.topology import chain, complete
    >>> round(d2_rate(chain(8), 0.5, [1.0]), 4), round(d2_rate(complete(8), 0.5, [1.0]), 4)
    (0.8915, 0.5)

    References:
      Tang, Lian, Yan, Zhang, Liu, "D2: Decentralized Training over Decentralized Data", ICML 2018. Verified: abstract
      read, update rule from memory; the recursion is derived here and equals a simulation of it.
    """
    assumptions.smallest_eigenvalue(TANG, topology, TANG_LEAST)
    lr = assumptions.constant(TANG, "lr", lr)
    hessian = assumptions.curvatures(TANG, curvatures)
    modes = np.real(eigenvalues(topology))[1:]
    worst = [max(abs(1 - lr * a) for a in hessian)]
    worst += [np.abs(np.roots([1, -mode * (2 - lr * a), mode * (1 - lr * a)])).max() for mode in modes for a in hessian]
    return float(max(worst))


def d2_largest_rate(topology: Topology, L: float) -> float:
    """The step size below which D2 converges on quadratics that share one Hessian: 2 / L, whatever the graph.

    By Jury's criterion the roots of `d2_rate` are inside the unit circle if lr a < min(1 + 1/lambda, (1 + 3 lambda) /
    (2 lambda)) for lambda > 0, both at least 2, and lr a < 1 + 1/|lambda|, above 4, for -1/3 < lambda < 0. If lambda <
    -1/3, small steps diverge. lambda = 1 gives 2 / L.

    Args:
      topology: the graph, connected, with a symmetric W whose smallest eigenvalue is above -1/3.
      L: the largest curvature.

    Raises:
      InputError: if W is outside of the assumption, or the graph not connected; the sentence says what to do.

    >>> from jdl.topology import chain
    >>> d2_largest_rate(chain(5), L=2.0)
    1.0

    References:
      Tang et al. 2018 (the condition lambda_n > -1/3). Verified: this condition was read in public lecture notes
      (distributed-opt, by Kun73, chapter 9); both limits were derived here, and simulations diverge just beyond them.
    """
    assumptions.smallest_eigenvalue(TANG, topology, TANG_LEAST)
    assumptions.connected(TANG, topology)
    return 2 / assumptions.constant(TANG, "L", L)


def exact_diffusion(topology: Topology, lr: float, L: float, mu: float) -> float:
    """The linear rate of exact diffusion (and of NIDS with c = 1/2): squared errors fall by this factor a round.

    psi(t+1) = x(t) - lr g(t), x(t+1) = (I + W) / 2 (psi(t+1) + x(t) - psi(t)). The squared distances of primal and dual
    variables to their fixed points, summed, fall by max(1 - lr mu (2 - lr L), (1 + lambda_2(W)) / 2) a round, where
    lambda_2 is the second largest eigenvalue by value.

    Assumptions: f_i mu-strongly convex and L-smooth; W symmetric and doubly stochastic on a connected graph; exact
    gradients; lr < 2 / L.

    Args:
      topology: the graph.
      lr: step size, below 2 / L.
      L: smoothness of every f_i.
      mu: strong convexity of every f_i.

    Returns:
      The factor on squared errors; for the errors themselves take its root.

    Raises:
      InputError: if W is not symmetric, the graph not connected, a constant missing, or lr not below 2 / L.

    >>> from jdl.topology import ring
    >>> round(exact_diffusion(ring(8), lr=1.0, L=1.0, mu=0.1), 4)
    0.9024

    References:
      Alghunaim, Ryu, Yuan, Sayed, "Decentralized Proximal Gradient Algorithms with Linear Convergence Rates", IEEE
      Transactions on Automatic Control 66, 2020, Theorem 1 with C = 0 and B^2 = (I - W) / 2. Yuan, Ying, Zhao, Sayed,
      "Exact Diffusion for Distributed Optimization and Learning", IEEE Transactions on Signal Processing 67, 2019. Li,
      Shi, Yan, "A decentralized proximal-gradient method with network independent step-sizes", 2019. Verified: the
      theorem was read in public lecture notes (distributed-opt, by Kun73, chapter 11), which write sigma(B) for the
      smallest nonzero eigenvalue of B^2; equal Hessians reach the rate of the graph, and simulations stay below it.
    """
    second, _ = assumptions.smallest_eigenvalue(ALGHUNAIM, topology, -1 - 1e-9)
    assumptions.connected(ALGHUNAIM, topology)
    L, mu = assumptions.curvature(ALGHUNAIM, L, mu)
    lr = assumptions.constant(ALGHUNAIM, "lr", lr)
    assumptions.below(ALGHUNAIM, "lr", lr, 2 / L)
    return float(max(1 - lr * mu * (2 - lr * L), (1 + second) / 2 if topology.n > 1 else 0.0))


def exact_diffusion_largest_rate(L: float) -> float:
    """The step size below which exact diffusion and NIDS converge: 2 / L, independent of the network.

    Args:
      L: smoothness of every f_i.

    Raises:
      InputError: if L is missing or not positive.

    >>> exact_diffusion_largest_rate(4.0)
    0.5

    References:
      Li, Shi, Yan 2019; Alghunaim et al. 2020; see `exact_diffusion`. Li, Yan, "On the linear convergence of two
      decentralized algorithms", 2021, whose abstract was read: the bound of NIDS is that of centralized descent.
    """
    return 2 / assumptions.constant(ALGHUNAIM, "L", L)
