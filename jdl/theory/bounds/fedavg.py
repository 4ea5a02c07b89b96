"""FedAvg on strongly convex functions whose data differ (Li et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jdl import checks
from jdl.theory import assumptions

__all__ = ["fedavg", "fedavg_rate"]

THEOREM = "Theorem 1 of Li et al. 2020 (FedAvg)"


def fedavg_rate(t: int, L: float, mu: float, local_steps: int) -> float:
    """The step size of FedAvg in step t = 0, 1, ... in its theorem: 2 / (mu (gamma + t)), gamma = max(8 L / mu, E).

    Args:
      t: number of steps so far, local steps counted one by one.
      L: smoothness.
      mu: strong convexity.
      local_steps: E, local steps of a round.

    Raises:
      InputError: if a constant is missing, not positive, or mu is above L.

    >>> fedavg_rate(0, L=1.0, mu=0.1, local_steps=5)
    0.25

    References:
      Li et al. 2020, Theorem 1; see `fedavg`.
    """
    L, mu = assumptions.curvature(THEOREM, L, mu)
    E = checks.whole("local_steps", local_steps, 1)
    return 2 / (mu * (max(8 * L / mu, E) + checks.whole("t", t, 0)))


def fedavg(
    steps: int,
    local_steps: int,
    L: float,
    mu: float,
    start_squared: float,
    gradient_squared: float,
    heterogeneity: float,
    sigma_squared: float | Sequence[float] = 0.0,
    shares: Sequence[float] | None = None,
    n: int | None = None,
    participants: int | None = None,
    replacement: bool = True,
) -> float:
    """A bound on E f(x_T) - f* of FedAvg with falling step sizes, after T steps of all clients.

    kappa / (gamma + T - 1) (2 (B + C) / mu + mu gamma / 2 ||x_1 - x*||^2) with kappa = L / mu, gamma = max(8 kappa, E),
    B = sum_k p_k^2 sigma_k^2 + 6 L Gamma + 8 (E - 1)^2 G^2; C = 0 if all clients take part, and if K do
    4 E^2 G^2 / K with replacement (drawn by p_k), or 4 E^2 G^2 (n - K) / ((n - 1) K) without, for equal p_k.
    The step sizes are those of `fedavg_rate`, kept for the E steps of a round if not all clients take part.

    Assumptions: f_k mu-strongly convex and L-smooth; variances of stochastic gradients at most sigma_k^2, and E||g||^2
    <= G^2 at all models of the run; Gamma = f* - sum_k p_k f_k* >= 0 measures how data differ.

    Args:
      steps: T, a multiple of E.
      local_steps: E.
      L: smoothness.
      mu: strong convexity.
      start_squared: ||x_1 - x*||^2.
      gradient_squared: G^2.
      heterogeneity: Gamma.
      sigma_squared: sigma_k^2, one number or one for each client.
      shares: p_k, which sum to one; None for equal shares of `n` clients.
      n: number of clients, if `shares` is None.
      participants: K clients a round; None for all.
      replacement: whether clients are drawn with replacement.

    Raises:
      InputError: if a constant is missing or negative, shares do not sum to one, T is no multiple of E, or clients are
        drawn without replacement with unequal shares.

    >>> round(fedavg(1000, 5, L=1.0, mu=0.1, start_squared=1.0, gradient_squared=1.0, heterogeneity=0.1, n=8), 3)
    23.874

    References:
      Li, Huang, Yang, Wang, Zhang, "On the Convergence of FedAvg on Non-IID Data", ICLR 2020, Theorems 1 to 3.
      Verified: B, C and the form were read in public notes on the paper (their step size lacks the factor 2), the rest
      is from memory; simulations on quadratics stay below the bound.
    """
    L, mu = assumptions.curvature(THEOREM, L, mu)
    E, T = checks.whole("local_steps", local_steps, 1), checks.whole("steps", steps, 1)
    checks.require(T % E == 0, f"got steps={T}, {THEOREM} is about multiples of E={E}; try steps={T - T % E + E}")
    start = assumptions.constant(THEOREM, "start_squared", start_squared, strict=False)
    G = assumptions.constant(THEOREM, "gradient_squared", gradient_squared, strict=False)
    differ = assumptions.constant(THEOREM, "heterogeneity", heterogeneity, strict=False)
    if shares is None:
        shares = np.full(checks.whole("n", n, 1, f"{THEOREM} needs n or shares,"), 1 / n)
    p = np.asarray(shares, np.float64)
    need = f"got shares that sum to {p.sum():.6g}, {THEOREM} assumes shares that sum to one; divide them by their sum"
    checks.require(p.ndim == 1 and bool((p >= 0).all()) and abs(p.sum() - 1) < 1e-6, need)
    noise = np.broadcast_to(np.asarray(sigma_squared, np.float64), p.shape)
    checks.require(bool((noise >= 0).all()), f"got a negative sigma_squared, {THEOREM} needs variances; give them")
    B = float(np.sum(p**2 * noise)) + 6 * L * differ + 8 * (E - 1) ** 2 * G
    C = 0.0
    if participants is not None:
        K = checks.whole("participants", participants, 1)
        checks.require(
            K <= len(p) or replacement, f"got participants={K} of {len(p)} clients, need at most all of them"
        )
        equal = (
            f"got unequal shares without replacement, {THEOREM.replace('1', '3')} assumes equal ones; use replacement"
        )
        checks.require(replacement or bool(np.allclose(p, 1 / len(p))), equal)
        C = 4 / K * E**2 * G * (1.0 if replacement else (len(p) - K) / max(1, len(p) - 1))
    kappa = L / mu
    gamma = max(8 * kappa, E)
    return float(kappa / (gamma + T - 1) * (2 * (B + C) / mu + mu * gamma / 2 * start))
