"""How long a server waits for k of n gradients, estimated from rounds of which it saw a part."""

from __future__ import annotations

from typing import Any

import numpy as np

from jdl import checks

__all__ = ["expected_waits"]


def expected_waits(arrivals: Any, before: Any = None) -> np.ndarray:
    """The seconds in which k of n gradients arrive, for all k, estimated from rounds of which a server saw a part.

    A server that goes on with the first k gradients sees when those arrived, and perhaps some of the late ones. Means
    over the rounds that saw the k-th arrival need not increase in k, as they are taken over different rounds. The
    estimates are the increasing numbers nearest to the means, by least squares weighted by the number of rounds:

        least sum over seen (h, k) of rounds_hk (x_hk - mean_hk)^2,    x_hk <= x_h,k+1,    x_hk >= x_h+1,k,

    where h is the number of gradients for which the round before waited. Workers that are late finish their old
    gradient first, so that the fewer of them were waited for, the fewer begin a round at once. In `jdl.clock` late
    clients stop, and all begin together: then h does not matter, and `before` is left out.

    What no round has seen lies between two estimates, and is set to the middle; where only one of them exists, to it.
    So a k greater than any that was seen is taken to cost no more time than the greatest seen, and is tried.

    Args:
      arrivals: f[T, n], the second after the start of round t at which the k-th gradient arrived, increasing along k;
        nan for those that were not seen.
      before: i[T], h, the number of gradients for which the round before each round waited, 1 to n; n for the first
        round. None if it does not matter.

    Returns:
      f[n], or with `before` f[n, n], where entry [h - 1, k - 1] belongs to h and k; nan where nothing is known.

    Raises:
      InputError: if arrivals decrease along k, are negative, or none was seen, or if `before` does not fit them.

    >>> nan = np.nan
    >>> expected_waits([[1.0, 2.0, nan], [3.0, nan, nan], [3.5, 4.5, 5.0]])
    array([2.5 , 3.25, 5.  ])

    References:
      Xu, Neglia, Sebastianelli, "Dynamic Backup Workers for Parallel Machine Learning", 2020 (DBW; from memory:
      constrained estimates of T_hk). What stands for pairs that were not seen is a choice made here.
    """
    seen = np.asarray(arrivals, float)
    shape = f"got arrivals of shape {seen.shape}, need [rounds, n]; give a row for each round, nan for what is unknown"
    checks.require(seen.ndim == 2 and seen.size > 0, shape)
    known = ~np.isnan(seen)
    ordered = np.maximum.accumulate(np.where(known, seen, -np.inf), axis=1) == np.where(known, seen, np.inf)
    good = bool(np.all(np.isfinite(seen[known]) & (seen[known] >= 0)) and np.all(ordered[known]) and known.any())
    need = "need seconds of at least 0 that do not decrease in a round, and one that is known; sort each row"
    checks.require(good, f"got arrivals that are negative, unsorted or all unknown, {need}")
    rounds, n = seen.shape
    h = np.full(rounds, n) if before is None else np.asarray(before)
    fits = h.shape == (rounds,) and np.issubdtype(h.dtype, np.integer) and bool(np.all((h >= 1) & (h <= n)))
    checks.require(fits, f"got before={before!r}, need one whole number of 1 to {n} for each of {rounds} rounds")
    count, total = np.zeros((n, n)), np.zeros((n, n))
    np.add.at(count, h - 1, known)
    np.add.at(total, h - 1, np.where(known, seen, 0))
    used = np.argwhere(count > 0)
    weights = count[count > 0]
    least = _ordered(total[count > 0] / weights, weights, _below(used, used))
    every = np.argwhere(np.ones((n, n), bool))
    low = np.where(_below(used, every), least[:, None], -np.inf).max(axis=0)
    high = np.where(_below(every, used).T, least[:, None], np.inf).min(axis=0)
    low, high = np.where(np.isfinite(low), low, high), np.where(np.isfinite(high), high, low)
    waits = np.full(n * n, np.nan)
    np.add(low / 2, high / 2, out=waits, where=np.isfinite(low))
    waits = waits.reshape(n, n)
    return waits[n - 1] if before is None else waits


def _below(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """bool[a, b], whether pair (h, k) number a of `one` is waited for no longer than b of `other`, for sure."""
    return (one[:, None, 0] >= other[None, :, 0]) & (one[:, None, 1] <= other[None, :, 1])


def _ordered(means: np.ndarray, weights: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The numbers nearest to `means`, by weighted least squares, that are ordered as `below` says."""
    from scipy.optimize import nnls  # slow to import

    checks.fits(16 * len(means) ** 2, f"the order of {len(means):,} pairs of numbers of workers")
    below = below & ~np.eye(len(means), dtype=bool)
    direct = below & ~(below.astype(np.float32) @ below.astype(np.float32) > 0)  # the others follow
    less, more = np.nonzero(direct)
    # With x = z / sqrt(weights), the cone of the ordered z has the polar cone of the columns of A: what is left of the
    # means without their projection on that one is their projection on the ordered numbers (Moreau).
    scale = np.sqrt(weights)
    A = np.zeros((len(means), len(less)))
    pairs = np.arange(len(less))
    A[less, pairs], A[more, pairs] = 1 / scale[less], -1 / scale[more]
    target = scale * means
    forces = nnls(A, target)[0] if len(less) else np.zeros(0)
    return (target - A @ forces) / scale
