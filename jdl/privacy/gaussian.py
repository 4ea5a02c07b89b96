"""Gaussian differential privacy: two Gaussians of one covariance, mu standard deviations apart."""

from __future__ import annotations

import numpy as np

from jdl import checks

__all__ = ["delta_of_mu", "epsilon_of_mu", "mu_of"]

HALVINGS = 200
# Directions whose share of what is seen is smaller count as rounding; and so does what is left outside of the others.
ROUNDING, OUTSIDE = 1e-10, 1e-6


def delta_of_mu(mu: np.ndarray | float, epsilon: np.ndarray | float) -> np.ndarray:
    """The smallest delta of a mechanism that is mu-Gaussian private, at some epsilon.

    delta = Phi(mu/2 - epsilon/mu) - exp(epsilon) Phi(-mu/2 - epsilon/mu), with Phi the normal distribution function.

    Args:
      mu: how many standard deviations lie between the two means, at least 0; any shape.
      epsilon: at least 0; a shape that fits.

    Returns:
      delta, from 0 to 1.

    References:
      Balle, Wang 2018, Improving the Gaussian Mechanism for Differential Privacy, Theorem 8.
      Dong, Roth, Su 2019, Gaussian Differential Privacy, Corollary 2.13.

    >>> round(float(delta_of_mu(1.0, 1.0)), 4)
    0.1269
    """
    from scipy.special import log_ndtr, ndtr

    mu, epsilon = np.broadcast_arrays(np.asarray(mu, float), np.asarray(epsilon, float))
    safe = np.where(mu > 0, mu, 1)
    # The second term by its logarithm: exp(epsilon) alone would overflow.
    delta = ndtr(safe / 2 - epsilon / safe) - np.exp(epsilon + log_ndtr(-safe / 2 - epsilon / safe))
    return np.where(mu > 0, np.maximum(delta, 0), 0)


def epsilon_of_mu(mu: np.ndarray | float, delta: float) -> np.ndarray:
    """The smallest epsilon of a mechanism that is mu-Gaussian private, at some delta, by bisection.

    Args:
      mu: at least 0; any shape.
      delta: above 0 and below 1.

    Returns:
      epsilon, at least 0; infinity for an infinite mu.

    >>> round(float(epsilon_of_mu(1.0, delta=1e-5)), 3)
    4.377
    """
    checks.require(0 < delta < 1, f"got delta={delta}, need a number between 0 and 1; try 1e-5")
    mu = np.asarray(mu, float)
    finite = np.where(np.isfinite(mu), mu, 1)
    # delta is at most Phi(mu/2 - epsilon/mu), which is below any delta from here on.
    low, high = np.zeros(mu.shape), finite * (finite / 2 + np.sqrt(2 * np.log(1 / delta)))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        over = delta_of_mu(finite, middle) > delta
        low, high = np.where(over, middle, low), np.where(over, high, middle)
    return np.where(np.isfinite(mu), np.where(delta_of_mu(finite, 0.0) <= delta, 0, high), np.inf)


def mu_of(moved: np.ndarray, noises: np.ndarray) -> np.ndarray:
    """How many standard deviations a Gaussian moves, mu^2 = a' (N N')^+ a, for each column a.

    Args:
      moved: by how much each number that is seen moves, f[k, c].
      noises: these numbers as combinations of independent unit normals, f[k, s].

    Returns:
      mu: f[c], infinite where a is not in the range of N: what moves has no noise.

    >>> mu_of(np.array([[3.0, 0.0], [0.0, 1.0]]), np.array([[2.0], [0.0]])).tolist()
    [1.5, inf]
    """
    left, values, _ = np.linalg.svd(noises, full_matrices=False)
    # By singular values of N, of which small ones count once and not squared.
    left, values = (part[..., values > ROUNDING * max(values.max(initial=0), 1e-300)] for part in (left, values))
    along = left.T @ moved
    outside = np.linalg.norm(moved - left @ along, axis=0) > OUTSIDE * np.linalg.norm(moved, axis=0)
    return np.where(outside, np.inf, np.linalg.norm(along / values[:, None], axis=0))
