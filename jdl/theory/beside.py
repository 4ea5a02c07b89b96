"""A measured curve beside a predicted one: the factor by which both shrink in a round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jdl import checks
from jdl.theory.fitted import FEWEST, FittedRate, fitted_rate
from jdl.theory.linear import Prediction

__all__ = ["Factors", "factors_beside"]

# The excess of the predicted curve over its end is fitted while it is larger than this many standard deviations of the
# mean over seeds, and than this part of its start; below that part the rounding of float32 shows.
DEVIATIONS, SMALLEST = 5.0, 1e-4


class Factors(NamedTuple):
    """The factors of one column over the same rounds.

    Attributes:
      measured: the factor of the history.
      predicted: the factor of the prediction.
    """

    measured: FittedRate
    predicted: FittedRate


def factors_beside(history: Mapping[str, np.ndarray], prediction: Prediction, column: str) -> Factors | None:
    """Fit a linear rate to a measured column and to its prediction, both less the predicted value at the end.

    Both fits are over the same rounds: the second half of those before the curve sinks into the noise at its end.

    Args:
      history: the columns of a run, f[E] or f[E, S]. Rounds without a prediction are left out.
      prediction: the prediction.
      column: the name of the column.

    Returns:
      Both factors; None if fewer than 16 evaluations lie between the start and the noise at the end.

    Raises:
      InputError: if the column is not predicted.
    """
    checks.known("column", column, prediction.columns)
    rounds, of_run, of_theory = np.intersect1d(history["round"], prediction.rounds, return_indices=True)
    if not rounds.size:
        return None
    values = np.asarray(history[column], float)[of_run]
    values = values.mean(axis=1) if values.ndim == 2 else values
    expected = prediction.columns[column][of_theory]
    excess, measured = expected - expected[-1], values - expected[-1]
    noise = DEVIATIONS * prediction.deviations[column][of_theory] / np.sqrt(prediction.seeds)
    good = (excess > noise) & (excess > SMALLEST * excess[0]) & (measured > 0)
    end = int(np.argmin(good)) if not good.all() else len(good)
    if end // 2 < FEWEST:
        return None
    window = {"first": int(rounds[end // 2 - 1]), "last": int(rounds[end - 1]), "floor": 0.0}
    return Factors(*(fitted_rate(curve[:end], rounds[:end], **window) for curve in (measured, excess)))
