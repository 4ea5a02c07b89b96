"""A linear rate of convergence, fitted to a curve."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jdl import checks

__all__ = ["FittedRate", "fitted_rate"]

# At least so many points decide a slope and its error.
FEWEST = 8
# Beyond this dependence of a residual on the one before it, an autoregression cannot be told from a trend.
STRONGEST = 0.97


class FittedRate(NamedTuple):
    """The factor by which a quantity shrinks in a round.

    Attributes:
      factor: the factor, below 1 if it shrinks.
      low: the lower end of its interval.
      high: the upper end.
      first: the first round of the fit.
      last: the last round.
    """

    factor: float
    low: float
    high: float
    first: int
    last: int


def fitted_rate(
    values: np.ndarray,
    rounds: np.ndarray | None = None,
    level: float = 0.95,
    first: int | None = None,
    last: int | None = None,
    floor: float | None = None,
) -> FittedRate:
    """Fit `values = c factor^round`, by least squares of the logarithms.

    The interval is that of a slope whose residuals are dependent from round to round, as those of methods that
    oscillate: the prewhitened variance of Andrews and Monahan (1992), the window of Newey and West, and Student's t.
    It says nothing about a curve that is not straight, so the fit should begin after the transient.

    Args:
      values: f[E], positive, such as a squared distance to the optimum.
      rounds: i[E]; by default 0, 1, 2, ...
      level: the probability that the interval holds the factor.
      first: the first round of the fit; by default the middle of what is above the floor.
      last: the last round; by default the last one before values reach the floor.
      floor: values at or below it are noise or rounding; by default 1e-12 of the first value.

    Returns:
      The factor, its interval, and the rounds of the fit, see `FittedRate`.

    Raises:
      InputError: if fewer than 8 points are left, or if the values are not one column.

    >>> fit = fitted_rate(3 * 0.9 ** np.arange(40.0))
    >>> round(fit.factor, 6), fit.first, fit.last
    (0.9, 19, 39)
    """
    from scipy.stats import t as student

    need = "need one column f[E]; take history['suboptimality'], say, or the mean of it over seeds"
    listed = isinstance(values, list | tuple) or hasattr(values, "ndim")
    checks.require(listed, f"got values of type {type(values).__name__}, {need}")
    values = np.asarray(values, float)
    checks.require(values.ndim == 1, f"got values of shape {values.shape}, {need}")
    rounds = np.arange(len(values)) if rounds is None else np.asarray(rounds)
    checks.require(0 < level < 1, f"got level={level!r}, need a probability between 0 and 1; try 0.95")
    floor = 1e-12 * values[0] if floor is None else floor
    sunk = np.flatnonzero(~(values > floor))
    end = int(sunk[0]) if sunk.size else len(values)
    last = int(rounds[end - 1]) if last is None and end else last
    first = int(rounds[(end - 1) // 2]) if first is None and end else first
    chosen = np.zeros(len(values), bool) if not end else (rounds >= first) & (rounds <= last) & (values > floor)
    count = int(chosen.sum())
    got = f"got {count} values above the floor of {floor:.3g} in rounds {first} to {last}"
    checks.require(count >= FEWEST, f"{got}, need at least {FEWEST}; evaluate more often, or fit fewer rounds")
    x, y = rounds[chosen].astype(float), np.log(values[chosen])
    x = x - x.mean()
    slope = x @ y / (x @ x)
    scores = x * (y - y.mean() - slope * x)
    error = np.sqrt(_long_run_variance(scores) * count / (count - 2)) / (x @ x)
    reach = student.ppf((1 + level) / 2, count - 2) * error
    factor, low, high = np.exp([slope, slope - reach, slope + reach])
    return FittedRate(float(factor), float(low), float(high), int(rounds[chosen][0]), int(rounds[chosen][-1]))


def _long_run_variance(scores: np.ndarray) -> float:
    """The variance of the sum of dependent numbers.

    An autoregression of order one takes out most of the dependence, and a sum over a window what is left.
    """
    before, after = scores[:-1], scores[1:]
    size = before @ before
    slope = float(np.clip(before @ after / size, -STRONGEST, STRONGEST)) if size > 0 else 0.0
    left = after - slope * before
    window = round(4 * (len(left) / 100) ** (2 / 9))
    weights = 1 - np.arange(1, window + 1) / (window + 1)
    total = left @ left + 2 * sum(w * (left[k:] @ left[:-k]) for k, w in enumerate(weights, 1) if k < len(left))
    return max(float(total), 0.0) / (1 - slope) ** 2
