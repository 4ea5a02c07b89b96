"""How well any attack can tell members from others, at a budget of privacy."""

from __future__ import annotations

import numpy as np

from jdl import checks

__all__ = ["auc_bound"]


def auc_bound(epsilon: float, delta: float = 0.0) -> float:
    """The largest area under the ROC curve of an attack on membership that (epsilon, delta)-privacy allows.

    The curve lies below e^epsilon x + delta and below 1 - e^-epsilon (1 - delta - x); the area below both is
    delta + (1 - delta) (e^epsilon + delta) / (1 + e^epsilon).

    Args:
      epsilon: at least 0.
      delta: 0 to 1.

    References:
      Kairouz, Oh, Viswanath 2015, The Composition Theorem for Differential Privacy (the two lines; the area is derived
      here).

    >>> auc_bound(0.0), round(auc_bound(1.0), 3)
    (0.5, 0.731)
    """
    good = epsilon >= 0 and 0 <= delta <= 1
    checks.require(good, f"got epsilon={epsilon} and delta={delta}, need at least 0, and a number from 0 to 1")
    with np.errstate(over="ignore"):
        odds = 1 / (1 + np.exp(epsilon))
    return float(delta + (1 - delta) * (1 - odds + delta * odds))
