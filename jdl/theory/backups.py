"""How many workers a server waits for: what a step gains with k gradients, against how long the k-th takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from jdl import checks
from jdl.theory import assumptions

__all__ = ["backup_workers", "expected_gains"]


def expected_gains(gradients: Any, n: int, lr: float, L: float) -> np.ndarray:
    """How much a step with the mean of k gradients lowers the loss at least, for k = 1 to n, estimated from a few.

    For an L-smooth loss F, and gradients that are independent with mean grad F and variance V = E||g - grad F||^2,

        F(x) - E F(x - lr mean of k) >= (lr - L lr^2 / 2) ||grad F||^2 - L lr^2 V / (2 k),

    an equality where the Hessian is L times the identity. Of m gradients, V is estimated by their squared distances
    from their mean over m - 1, and ||grad F||^2 by the squared norm of their mean less V / m, at least 0.

    Args:
      gradients: f[m, d], gradients of different minibatches at the same model; m is at least 2.
      n: number of workers.
      lr: step size.
      L: smoothness.

    Returns:
      f[n], the gain for each k; negative where the noise would undo the step.

    Raises:
      InputError: if there are fewer than two gradients, or a number is not finite or not positive.

    >>> expected_gains([[1.0, 0.0], [3.0, 0.0]], n=4, lr=0.1, L=1.0).round(4)
    array([0.275 , 0.28  , 0.2817, 0.2825])

    References:
      Xu, Neglia, Sebastianelli, "Dynamic Backup Workers for Parallel Machine Learning", 2020 (DBW; from memory). The
      authors average the estimates over past rounds, and estimate L from losses; here the caller does.
      Bottou, Curtis, Nocedal, "Optimization Methods for Large-Scale Machine Learning", SIAM Review 2018, lemma 4.2.
    """
    g, theorem = np.asarray(gradients, float), "the gain of a step"
    need = f"got gradients of shape {g.shape}, need [m, d] with at least two rows; give those that arrived"
    checks.require(g.ndim == 2 and len(g) >= 2 and bool(np.all(np.isfinite(g))), need)
    lr, L = assumptions.constant(theorem, "lr", lr), assumptions.constant(theorem, "L", L)
    mean = g.mean(axis=0)
    variance = np.sum((g - mean) ** 2) / (len(g) - 1)
    norm = max(mean @ mean - variance / len(g), 0.0)
    k = np.arange(1, checks.whole("n", n, 1) + 1)
    return (lr - L * lr**2 / 2) * norm - L * lr**2 * variance / (2 * k)


def backup_workers(gains: Any, seconds: Any) -> int:
    """The number of backup workers with which the loss falls fastest: n - k for the k of the greatest gain a second.

    Among equally fast numbers it is the smallest. If no k promises a gain it is 0, as more gradients are less noisy.

    Args:
      gains: f[n], what a step with the mean of k gradients gains, see `expected_gains`.
      seconds: f[n], how long the server waits for k gradients, see `expected_waits`: with `before`, the row of the k of
        the last round. Where it is nan, k is not considered.

    Raises:
      InputError: if the lists are of different lengths, or seconds are negative or all unknown.

    >>> backup_workers([0.5, 0.9, 1.0, 1.1], seconds=[1.0, 1.2, 1.5, 9.0])
    2

    References:
      Xu, Neglia, Sebastianelli, "Dynamic Backup Workers for Parallel Machine Learning", 2020 (DBW; from memory, without
      the authors' rules for rounds in which the loss grows).
    """
    gains, seconds = np.asarray(gains, float), np.asarray(seconds, float)
    good = gains.ndim == 1 and gains.shape == seconds.shape and bool(np.all(np.isfinite(gains)))
    good = good and not bool(np.any(seconds < 0)) and bool(np.any(np.isfinite(seconds)))
    given = f"got gains of shape {gains.shape} and seconds of shape {seconds.shape}"
    checks.require(good, f"{given}, need f[n] of both, and seconds of at least 0; see expected_waits")
    n = len(gains)
    speed = np.full(n, -np.inf)
    np.divide(gains, seconds, out=speed, where=(seconds > 0) & (gains > 0))
    speed[(seconds == 0) & (gains > 0)] = np.inf
    return int(np.argmax(speed[::-1])) if np.any(speed > 0) else 0
