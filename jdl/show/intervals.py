"""The mean over seeds, and an interval about it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jdl import checks

__all__ = ["KINDS", "LEVEL", "Interval", "finite", "in_words", "interval"]

LEVEL = 0.95
# What an interval says, as legends and titles name it; {} is the number of seeds.
KINDS = {
    "minmax": "smallest to largest of {} seeds",
    "std": "± one standard deviation over {} seeds",
    "bootstrap": "95% bootstrap interval of the mean over {} seeds",
    "t": "95% t-interval of the mean over {} seeds",
}
# Of up to so many seeds all resamples are taken: of six there are 462 different ones, of seven 1,716.
EXACT = 6
RESAMPLES = 2000
AT_ONCE = 2**22  # means of resamples in memory at once: 32 MiB


class Interval(NamedTuple):
    """The mean over seeds, and the ends of an interval about it, f64[...] each."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def interval(values: np.ndarray, kind: str = "bootstrap") -> Interval:
    """Take the mean over seeds, and an interval about it.

    A value that is not finite is that of a seed whose run has diverged. The mean and the interval are those of the
    other seeds; `finite` counts them, and whoever shows the mean says so.

    With few seeds, the bootstrap interval is too short: of five normal samples it covers the mean in about 84 % of all
    cases, of twenty in about 93 %. Student's t covers it in 95 % of all cases, if the values are normal.

    Args:
      values: f[..., S], the values of S seeds.
      kind: "minmax" (the smallest and the largest value), "std" (one standard deviation of the sample on both sides of
        the mean), "bootstrap" (the 95 % interval of the mean between percentiles of the means of resampled seeds: of
        all resamples of up to six seeds, of 2,000 drawn with a fixed key otherwise), or "t" (the 95 % interval of the
        mean by Student's t).

    Returns:
      The mean, the lower end and the upper end, f64[...] each. Without a finite value all are NaN. With a single one,
      the ends are NaN too, since one seed says nothing of the spread; those of "minmax" are the value itself.

    Raises:
      InputError: if there is no such kind, or no axis of seeds.

    >>> mean, low, high = interval(np.array([1.0, 2.0, 3.0]), "minmax")
    >>> float(mean), float(low), float(high)
    (2.0, 1.0, 3.0)
    """
    known = isinstance(kind, str) and kind in KINDS
    checks.require(known, f"got interval {kind!r}, which does not exist; use one of {', '.join(KINDS)}")
    values = np.asarray(values, float)
    checks.require(values.ndim > 0, f"got values={values}, one number, need an axis of seeds; give an array [..., S]")
    rows = values.reshape(-1, values.shape[-1])
    found = np.full((3, len(rows)), np.nan)
    counts = finite(rows)
    for count in np.unique(counts[counts > 0]):
        some = counts == count
        left = rows[some]
        left = left[np.isfinite(left)].reshape(-1, count)
        found[0, some] = left.mean(axis=-1)
        if count > 1 or kind == "minmax":
            found[1:, some] = ENDS[kind](left)
    return Interval(*found.reshape(3, *values.shape[:-1]))


def finite(values: np.ndarray) -> np.ndarray:
    """The number of seeds whose values are finite: i64[...] of f[..., S].

    >>> finite(np.array([[1.0, np.nan, 2.0], [1.0, 2.0, 3.0]])).tolist()
    [2, 3]
    """
    return np.isfinite(np.asarray(values, float)).sum(axis=-1)


def in_words(kind: str, seeds: int | str) -> str:
    """What an interval of this kind says.

    >>> in_words("std", 5)
    '± one standard deviation over 5 seeds'
    """
    return KINDS[kind].format(seeds)


def _extremes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return values.min(axis=-1), values.max(axis=-1)


def _deviation(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return _about_mean(values, 1.0)


def _student(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import scipy.stats

    seeds = values.shape[-1]
    return _about_mean(values, scipy.stats.t.ppf((1 + LEVEL) / 2, seeds - 1) / math.sqrt(seeds))


def _about_mean(values: np.ndarray, deviations: float) -> tuple[np.ndarray, np.ndarray]:
    mean, half = values.mean(axis=-1), deviations * values.std(axis=-1, ddof=1)
    return mean - half, mean + half


def _bootstrap(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Percentiles of the means of resamples, f[rows] each, of values f[rows, S]."""
    shares, probabilities = _resamples(values.shape[-1])
    rows = max(1, AT_ONCE // len(shares))
    ends = [_percentiles(part @ shares.T, probabilities) for part in np.split(values, range(rows, len(values), rows))]
    return np.concatenate([low for low, _ in ends]), np.concatenate([high for _, high in ends])


def _resamples(seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """The share of each seed in each resample, f64[R, S], and the probability of each resample, f64[R]."""
    if seeds > EXACT:
        drawn = np.random.default_rng(0).multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES)
        return drawn / seeds, np.full(RESAMPLES, 1 / RESAMPLES)
    chosen = itertools.combinations_with_replacement(range(seeds), seeds)
    counts = np.array([np.bincount(one, minlength=seeds) for one in chosen])
    ways = [math.factorial(seeds) / math.prod(math.factorial(one) for one in row) for row in counts.tolist()]
    return counts / seeds, np.array(ways) / seeds**seeds


def _percentiles(means: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values at which the distribution of means, f[rows, R], reaches the two tails, from below and from above."""
    tail = (1 - LEVEL) / 2 * (1 - 1e-9)  # so that rounding of the sums does not decide
    last = means.shape[-1] - 1
    if np.ptp(probabilities) == 0:
        index = math.ceil(tail / probabilities[0]) - 1
        ends = np.partition(means, [index, last - index], axis=-1)
        return ends[:, index], ends[:, last - index]
    order = np.argsort(means, axis=-1)
    means, weights = np.take_along_axis(means, order, axis=-1), probabilities[order]
    from_below = np.argmax(np.cumsum(weights, axis=-1) >= tail, axis=-1)
    from_above = last - np.argmax(np.cumsum(weights[:, ::-1], axis=-1) >= tail, axis=-1)
    pick = lambda index: np.take_along_axis(means, index[:, None], axis=-1)[:, 0]
    return pick(from_below), pick(from_above)


ENDS: dict[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "minmax": _extremes,
    "std": _deviation,
    "bootstrap": _bootstrap,
    "t": _student,
}
