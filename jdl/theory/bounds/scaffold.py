"""SCAFFOLD: bounds on its local step size, its linear rate, and its number of rounds (Karimireddy et al. 2020)."""

from __future__ import annotations

import math

from jdl import checks
from jdl.theory import assumptions

__all__ = ["scaffold", "scaffold_largest_rate", "scaffold_rounds"]

THEOREM = "Theorem III of Karimireddy et al. 2020 (SCAFFOLD)"
CASES = ("strongly convex", "convex", "nonconvex")


def scaffold_largest_rate(
    L: float,
    local_steps: int,
    n: int,
    participants: int | None = None,
    server_lr: float = 1.0,
    mu: float | None = None,
    case: str = "strongly convex",
) -> float:
    """The local step size up to which the theorem on SCAFFOLD holds.

    With K local steps, server step size eta, and S of n clients a round: "convex" 1 / (81 L K eta); "strongly convex"
    also S / (15 mu n K eta), whichever is smaller; "nonconvex" 1 / (24 L K eta) (S / n)^(2/3).

    Assumptions: f_i L-smooth; eta >= 1; unbiased gradients of bounded variance. No bound on heterogeneity.

    Args:
      L: smoothness of every f_i.
      local_steps: K.
      n: number of clients.
      participants: S; None for all.
      server_lr: eta, at least 1.
      mu: strong convexity, in that case.
      case: "strongly convex", "convex" or "nonconvex".

    Raises:
      InputError: if a constant is missing, eta is below 1, or S above n.

    >>> round(1 / scaffold_largest_rate(L=1.0, local_steps=10, n=8, mu=0.1))
    810

    References:
      Karimireddy, Kale, Mohri, Reddi, Stich, Suresh, "SCAFFOLD: Stochastic Controlled Averaging for Federated
      Learning", ICML 2020, Theorem III (VII in the appendix). Verified: 1 / (81 L K eta) was read in public notes on
      the paper, the other bounds are from memory; simulations on quadratics converge at the bound, and far beyond it.
    """
    case = checks.known("case", case, CASES)
    L, K, n, S, eta = _setting(L, local_steps, n, participants, server_lr)
    if case == "nonconvex":
        return (S / n) ** (2 / 3) / (24 * L * K * eta)
    bound = 1 / (81 * L * K * eta)
    if case == "convex":
        return bound
    _, mu = assumptions.curvature(THEOREM, L, mu)
    return min(bound, S / (15 * mu * n * K * eta))


def scaffold(L: float, mu: float, n: int, participants: int | None = None) -> float:
    """The linear rate of SCAFFOLD a round, at its largest step size, on strongly convex functions and without noise.

    exp(-min(S / (30 n), mu / (162 L))): neither local steps nor heterogeneity are in it.

    Assumptions: those of `scaffold_largest_rate`, with f_i mu-strongly convex.

    Args:
      L: smoothness of every f_i.
      mu: strong convexity.
      n: number of clients.
      participants: S; None for all.

    Raises:
      InputError: if a constant is missing.

    >>> round(scaffold(L=1.0, mu=0.5, n=8), 5)
    0.99692

    References:
      Karimireddy et al. 2020, Theorem VII. Verified: from memory of the paper; simulations on quadratics are faster.
    """
    L, _, n, S, _ = _setting(L, 1, n, participants, 1.0)
    L, mu = assumptions.curvature(THEOREM, L, mu)
    return math.exp(-min(S / (30 * n), mu / (162 * L)))


def scaffold_rounds(
    eps: float, L: float, mu: float, local_steps: int, n: int, sigma_squared: float, participants: int | None = None
) -> float:
    """The order of the number of rounds in which SCAFFOLD reaches f - f* = eps, strongly convex, with eta = sqrt(S).

    sigma^2 / (mu K S eps) + L / mu + n / S, up to constant and logarithmic factors.

    Assumptions: those of `scaffold`.

    Args:
      eps: the accuracy to reach.
      L: smoothness of every f_i.
      mu: strong convexity.
      local_steps: K.
      n: number of clients.
      sigma_squared: variance of stochastic gradients.
      participants: S; None for all.

    Raises:
      InputError: if a constant is missing.

    >>> scaffold_rounds(0.01, L=1.0, mu=0.1, local_steps=10, n=8, sigma_squared=1.0, participants=4)
    37.0

    References:
      Karimireddy et al. 2020, Theorem III. Verified: read in public notes on the paper.
    """
    L, K, n, S, _ = _setting(L, local_steps, n, participants, 1.0)
    L, mu = assumptions.curvature(THEOREM, L, mu)
    eps = assumptions.constant(THEOREM, "eps", eps)
    noise = assumptions.constant(THEOREM, "sigma_squared", sigma_squared, strict=False)
    return noise / (mu * K * S * eps) + L / mu + n / S


def _setting(
    L: float, local_steps: int, n: int, participants: int | None, server_lr: float
) -> tuple[float, int, int, int, float]:
    L, K, n = (
        assumptions.constant(THEOREM, "L", L),
        checks.whole("local_steps", local_steps, 1),
        checks.whole("n", n, 1),
    )
    S = n if participants is None else checks.whole("participants", participants, 1)
    checks.require(n >= S, f"got participants={S} of n={n} clients, {THEOREM} assumes at most all of them; try {n}")
    eta = assumptions.constant(THEOREM, "server_lr", server_lr)
    checks.require(eta >= 1, f"got server_lr={eta:g}, {THEOREM} assumes server_lr of at least 1; try server_lr=1")
    return L, K, n, S, eta
