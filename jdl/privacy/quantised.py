"""The exact distribution of the randomised quantisation mechanism, and what it tells of an entry."""

from __future__ import annotations

import numpy as np

from jdl import checks

__all__ = ["rqm_pmf", "rqm_renyi"]


def rqm_pmf(x: float, *, clip: float = 1.0, margin: float = 0.5, keep: float = 0.42, levels: int = 16) -> np.ndarray:
    """The probability of each level to which `jdl.compressors.RQM` rounds an entry, f[levels].

    The nearest kept level a below x and b above x are independent, each at a geometric distance, the ends kept for
    certain; x goes to b with probability (x - a) / (b - a), so that the mean over levels is x.

    Args:
      x: the entry; beyond `clip` it is clipped.
      clip: c, above 0.
      margin: D, at least 0.
      keep: q, 0 to 1.
      levels: m, at least 2.

    >>> rqm_pmf(0.0, keep=0.0, levels=3).tolist()
    [0.5, 0.0, 0.5]
    """
    last = checks.whole("levels", levels, 2) - 1
    checks.require(clip > 0, f"got clip={clip}, need a number above 0")
    place = (np.clip(x, -clip, clip) + clip + margin) / (2 * (clip + margin)) * last
    below = int(np.clip(np.floor(place), 0, last - 1))
    pmf, lower, upper = np.zeros(last + 1), _nearest(below, keep), _nearest(last - below - 1, keep)
    for i, first in enumerate(lower):
        for k, second in enumerate(upper):
            a, b = below - i, below + 1 + k
            share = (place - a) / (b - a)
            pmf[a] += first * second * (1 - share)
            pmf[b] += first * second * share
    return pmf


def rqm_renyi(order: float, **mechanism: float) -> float:
    """The Renyi divergence between what the entries c and -c are rounded to, the two that differ most.

    Args:
      order: alpha, above 1.
      **mechanism: `clip`, `margin`, `keep` and `levels`, as in `rqm_pmf`.

    >>> round(rqm_renyi(2.0, levels=9), 3)
    4.05
    """
    checks.require(order > 1, f"got order={order}, need a number above 1; try 2")
    clip = mechanism.get("clip", 1.0)
    p, q = (rqm_pmf(x, **mechanism) for x in (clip, -clip))
    if np.any((q == 0) & (p > 0)):
        return float("inf")
    both = p > 0
    logs = order * np.log(p[both]) + (1 - order) * np.log(q[both])
    return float((logs.max() + np.log(np.sum(np.exp(logs - logs.max())))) / (order - 1))


def _nearest(others: int, keep: float) -> np.ndarray:
    """The probabilities of the distance to the nearest kept level, 0 to `others`; the last one is kept for certain."""
    distances = keep * (1 - keep) ** np.arange(others)
    return np.append(distances, (1 - keep) ** others)
