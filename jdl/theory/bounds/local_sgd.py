"""Local SGD on convex functions (Khaled et al. 2020; Woodworth et al. 2020)."""

from __future__ import annotations

from jdl import checks
from jdl.theory import assumptions

__all__ = ["local_sgd", "local_sgd_identical", "local_sgd_largest_rate", "local_sgd_order", "minibatch_sgd_order"]

KHALED = "the theorem of Khaled et al. 2020 on local SGD with heterogeneous data"
IDENTICAL = "the theorem of Khaled et al. 2020 on local SGD with identical data"
WOODWORTH = "the bound of Woodworth et al. 2020 on local SGD with heterogeneous data"


def local_sgd_largest_rate(L: float, local_steps: int) -> float:
    """The step size up to which `local_sgd` holds: min(1 / (4 L), 1 / (8 L (H - 1))).

    Args:
      L: smoothness of every f_i.
      local_steps: H.

    Raises:
      InputError: if L is missing or not positive.

    >>> local_sgd_largest_rate(1.0, 1), local_sgd_largest_rate(1.0, 5)
    (0.25, 0.03125)

    References:
      Khaled et al. 2020; see `local_sgd`.
    """
    L, H = assumptions.constant(KHALED, "L", L), checks.whole("local_steps", local_steps, 1)
    return 1 / (4 * L) if H == 1 else min(1 / (4 * L), 1 / (8 * L * (H - 1)))


def local_sgd(
    steps: int, local_steps: int, lr: float, L: float, n: int, start_squared: float, sigma_dif_squared: float
) -> float:
    """A bound on E f(average) - f* of local SGD with data that differ, after T steps of each of n nodes.

    4 ||x_0 - x*||^2 / (lr T) + 20 lr sigma_dif^2 / n + 16 lr^2 L (H - 1)^2 sigma_dif^2, for the average over steps 0 to
    T - 1 of the mean of the nodes' models. sigma_dif^2 = (1 / n) sum_i E||g_i(x*)||^2, for stochastic gradients g_i at
    the common optimum: heterogeneity plus noise.

    Assumptions: f_i (for every example) convex and L-smooth; lr at most `local_sgd_largest_rate`; all nodes take part
    and average every H steps.

    Args:
      steps: T.
      local_steps: H.
      lr: step size.
      L: smoothness of every f_i.
      n: number of nodes.
      start_squared: ||x_0 - x*||^2.
      sigma_dif_squared: sigma_dif^2.

    Raises:
      InputError: if a constant is missing or negative, or lr is above its bound.

    >>> round(local_sgd(10_000, 5, lr=0.01, L=1.0, n=8, start_squared=1.0, sigma_dif_squared=1.0), 4)
    0.0906

    References:
      Khaled, Mishchenko, Richtarik, "Tighter Theory for Local SGD on Identical and Heterogeneous Data", AISTATS 2020
      (the theorem on convex functions and heterogeneous data). Verified: from memory of the paper (its abstract was
      read); simulations on quadratics stay below the bound.
    """
    T, H = checks.whole("steps", steps, 1), checks.whole("local_steps", local_steps, 1)
    n, L = checks.whole("n", n, 1), assumptions.constant(KHALED, "L", L)
    lr = assumptions.constant(KHALED, "lr", lr)
    assumptions.below(KHALED, "lr", lr, local_sgd_largest_rate(L, H), strict=False)
    start = assumptions.constant(KHALED, "start_squared", start_squared, strict=False)
    differ = assumptions.constant(KHALED, "sigma_dif_squared", sigma_dif_squared, strict=False)
    return 4 * start / (lr * T) + 20 * lr * differ / n + 16 * lr**2 * L * (H - 1) ** 2 * differ


def local_sgd_identical(
    steps: int,
    local_steps: int,
    lr: float,
    L: float,
    mu: float,
    n: int,
    start_squared: float,
    sigma_squared: float,
) -> float:
    """A bound on E||mean x_T - x*||^2 of local SGD whose nodes have the same data, after T steps.

    (1 - lr mu)^T ||x_0 - x*||^2 + lr sigma^2 / (mu n) + 2 L lr^2 (H - 1) sigma^2 / mu.

    Assumptions: one f for all nodes, mu-strongly convex and L-smooth; unbiased gradients with variance at most sigma^2
    everywhere, independent between nodes; lr <= 1 / (4 L).

    Args:
      steps: T.
      local_steps: H.
      lr: step size.
      L: smoothness.
      mu: strong convexity.
      n: number of nodes.
      start_squared: ||x_0 - x*||^2.
      sigma_squared: sigma^2.

    Raises:
      InputError: if a constant is missing or negative, or lr is above 1 / (4 L).

    >>> round(local_sgd_identical(1000, 5, 0.01, L=1.0, mu=0.5, n=8, start_squared=1.0, sigma_squared=1.0), 4)
    0.0108

    References:
      Khaled et al. 2020, the theorem on strongly convex functions and identical data. Verified: from memory of the
      paper; the exact variance on quadratics stays below the bound, and reaches half of its middle term for H = 1.
    """
    L, mu = assumptions.curvature(IDENTICAL, L, mu)
    T, H, n = (checks.whole(*pair, 1) for pair in (("steps", steps), ("local_steps", local_steps), ("n", n)))
    lr = assumptions.constant(IDENTICAL, "lr", lr)
    assumptions.below(IDENTICAL, "lr", lr, 1 / (4 * L), strict=False)
    start = assumptions.constant(IDENTICAL, "start_squared", start_squared, strict=False)
    noise = assumptions.constant(IDENTICAL, "sigma_squared", sigma_squared, strict=False)
    return (1 - lr * mu) ** T * start + lr * noise / (mu * n) + 2 * L * lr**2 * (H - 1) * noise / mu


def local_sgd_order(
    rounds: int, local_steps: int, n: int, L: float, start_squared: float, sigma_squared: float, zeta_squared: float
) -> float:
    """The order of E f - f* of local SGD with the best step size, for R rounds of K steps; convex f.

    L B^2 / (K R) + sigma B / sqrt(n K R) + (L zeta^2 B^4)^(1/3) / R^(2/3) + (L sigma^2 B^4)^(1/3) / (K^(1/3) R^(2/3)),
    B = ||x_0 - x*||. Constant factors are left open. Compare with `minibatch_sgd_order`: local SGD is ahead if
    zeta^2 is small, below about L^2 B^2 / R.

    Assumptions: f_i convex and L-smooth; noise at most sigma^2; (1 / n) sum_i ||grad f_i - grad f||^2 <= zeta^2 at
    every x.

    Args:
      rounds: R.
      local_steps: K.
      n: number of nodes.
      L: smoothness.
      start_squared: B^2.
      sigma_squared: variance of stochastic gradients.
      zeta_squared: heterogeneity, everywhere.

    Raises:
      InputError: if a constant is missing or negative.

    >>> round(local_sgd_order(100, 10, 8, 1.0, 1.0, 1.0, 0.0), 4)
    0.0337
    >>> round(minibatch_sgd_order(100, 10, 8, 1.0, 1.0, 1.0), 4)
    0.0212

    References:
      Woodworth, Patel, Srebro, "Minibatch vs Local SGD for Heterogeneous Distributed Learning", NeurIPS 2020. Verified:
      from memory of the paper (its introduction was read); with zeta = 0 and K = 1 it is of the order of SGD.
    """
    R, K, n = (checks.whole(*pair, 1) for pair in (("rounds", rounds), ("local_steps", local_steps), ("n", n)))
    L, B = assumptions.constant(WOODWORTH, "L", L), assumptions.constant(WOODWORTH, "start_squared", start_squared)
    noise = assumptions.constant(WOODWORTH, "sigma_squared", sigma_squared, strict=False)
    zeta = assumptions.constant(WOODWORTH, "zeta_squared", zeta_squared, strict=False)
    drift = (L * zeta * B**2) ** (1 / 3) / R ** (2 / 3) + (L * noise * B**2) ** (1 / 3) / (K ** (1 / 3) * R ** (2 / 3))
    return L * B / (K * R) + (noise * B / (n * K * R)) ** 0.5 + drift


def minibatch_sgd_order(
    rounds: int, local_steps: int, n: int, L: float, start_squared: float, sigma_squared: float
) -> float:
    """The order of E f - f* of R steps of SGD, each with n K gradients: L B^2 / R + sigma B / sqrt(n K R).

    Args:
      rounds: R.
      local_steps: K.
      n: number of nodes.
      L: smoothness.
      start_squared: B^2.
      sigma_squared: variance of stochastic gradients, at x* is enough.

    Raises:
      InputError: if a constant is missing or negative.

    References:
      Woodworth et al. 2020; see `local_sgd_order`.
    """
    R, K, n = (checks.whole(*pair, 1) for pair in (("rounds", rounds), ("local_steps", local_steps), ("n", n)))
    L, B = assumptions.constant(WOODWORTH, "L", L), assumptions.constant(WOODWORTH, "start_squared", start_squared)
    noise = assumptions.constant(WOODWORTH, "sigma_squared", sigma_squared, strict=False)
    return L * B / R + (noise * B / (n * K * R)) ** 0.5
