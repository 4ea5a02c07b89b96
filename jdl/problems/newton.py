"""Newton's method for logistic regression, on the host in double precision."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from jdl import checks

__all__ = ["minimise"]


def minimise(features: np.ndarray, labels: np.ndarray, weights: np.ndarray, reg: float) -> tuple[np.ndarray, float]:
    """Minimise weighted logistic regression with an l2 penalty.

    The objective is `sum_j weights_j log(1 + exp(-labels_j features_j . x)) + reg / 2 ||x||^2`. A step is halved until
    the gradient norm decreases. It does decrease for a small step in Newton's direction, because the objective is
    strongly convex.

    Args:
      features: f[N, d].
      labels: f[N], -1 or 1.
      weights: f[N], at least 0.
      reg: the weight of the penalty, above 0.

    Returns:
      The minimiser, f64[d], where the gradient norm is below 1e-10, and the value of the objective there.

    Raises:
      InputError: if rounding keeps the gradient norm above 1e-10.

    >>> x, value = minimise(np.eye(2), np.ones(2), np.full(2, 0.5), reg=0.1)
    >>> bool(np.allclose(0.1 * x, 0.5 / (1 + np.exp(x))))
    True
    """
    features, weights = features.astype(np.float64), weights.astype(np.float64)
    signed = labels[:, None] * features

    def gradient(x):
        return reg * x - signed.T @ (weights * expit(-(signed @ x)))

    x = np.zeros(features.shape[1])
    g = gradient(x)
    for _ in range(100):
        if np.linalg.norm(g) < 1e-12:
            break
        curvature = weights * expit(signed @ x) * expit(-(signed @ x))
        hessian = signed.T @ (curvature[:, None] * signed) + reg * np.eye(x.size)
        try:
            direction = np.linalg.solve(hessian, g)
        except np.linalg.LinAlgError:
            break  # the penalty is lost to rounding, so that the Hessian is singular
        for step in 0.5 ** np.arange(40):
            new = gradient(x - step * direction)
            if np.linalg.norm(new) < np.linalg.norm(g):
                x, g = x - step * direction, new
                break
        else:
            break  # no step decreases the gradient norm: only rounding errors are left
    checks.require(
        float(np.linalg.norm(g)) < 1e-10,
        f"got data whose optimum Newton's method finds only to gradient norm {np.linalg.norm(g):.0e}, need 1e-10; "
        "scale the features to about unit norm, or use a larger regularization",
    )
    return x, float(weights @ np.logaddexp(0, -(signed @ x)) + reg / 2 * x @ x)
