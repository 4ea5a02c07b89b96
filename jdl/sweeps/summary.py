"""The summary of a sweep: for each point the mean of each metric over seeds, and an interval about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jdl import checks
from jdl.show.intervals import interval

if TYPE_CHECKING:
    import pandas

__all__ = ["at_round", "diverged", "means", "over_seeds", "round_of"]

Status = Mapping[tuple[int, int], str]


def round_of(at: int | str | None) -> int | None:
    """A round at which runs are compared; None for the last of each.

    Raises:
      InputError: if it is neither "last", nor None, nor a round.
    """
    return None if at is None or at == "last" else checks.whole("at", at, 0, 'need "last" or')


def at_round(frame: pandas.DataFrame, status: Status, at: int | None) -> pandas.DataFrame:
    """The rows at which points are compared: those of the last evaluation of each point up to a round.

    A run that diverged has no row at the last round, and one that reached its goal has the row at which it did. A point
    that ended before the round has none.

    Args:
      frame: the evaluations, with the columns `point`, `seed` and `round`.
      status: the status of each run, by point and seed.
      at: the round, or None for the last of each point.
    """
    rounds = frame.groupby("point")["round"]
    if at is None:
        own_last = frame["round"] == frame.groupby(["point", "seed"])["round"].transform("max")
        runs = [status.get(run) for run in zip(frame["point"], frame["seed"], strict=True)]
        reached, lost = (np.array([one == word for one in runs], bool) for word in ("reached", "diverged"))
        return frame[((frame["round"] == rounds.transform("max")) & ~lost) | (own_last & reached)]
    frame = frame[(frame["round"] <= at) & (rounds.transform("max") >= at)]
    return frame[frame["round"] == frame.groupby("point")["round"].transform("max")]


def over_seeds(chosen: pandas.DataFrame, metric: str, points: int, seeds: Sequence[int]) -> np.ndarray:
    """A metric of all runs at their chosen rows, f64[P, S]; NaN where there is none."""
    values = np.full((points, len(seeds)), np.nan)
    column = {seed: index for index, seed in enumerate(seeds)}
    values[chosen["point"].to_numpy(int), [column[seed] for seed in chosen["seed"]]] = chosen[metric].to_numpy(float)
    return values


def diverged(values: np.ndarray, status: Status, seeds: Sequence[int]) -> np.ndarray:
    """The number of runs of each point that have diverged before the chosen row, i64[P], by a metric f[P, S]."""
    ended = np.array(
        [[status.get((point, seed)) == "diverged" for seed in seeds] for point in range(len(values))], bool
    )
    return (ended.reshape(values.shape) & ~np.isfinite(values)).sum(axis=-1)


def means(values: Mapping[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """The columns of the summary: for each metric f[P, S] its mean, and the ends of the interval, f[P] each."""
    columns: dict[str, Any] = {}
    for name, one in values.items():
        mean, low, high = interval(one, kind)
        columns |= {name: mean, f"{name}_low": low, f"{name}_high": high}
    return columns
