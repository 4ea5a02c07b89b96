"""Stretches of time whose events are executed before those of the next one begin."""

from __future__ import annotations

import math

import numpy as np

from jdl import checks

__all__ = ["windows"]


def windows(
    seconds: np.ndarray, n: int, window_events: int | None = None, window_seconds: float | None = None
) -> np.ndarray:
    """The number of the window of each event, i64[E].

    Args:
      seconds: f[E], when events happen, in the order of time.
      n: number of nodes.
      window_events: the number of events of a window; None for windows of one size, of about 4 n.
      window_seconds: the length of a window, in place of a number of events; an event at its end belongs to it.

    Raises:
      InputError: if there is no event, if times are negative or not in order, or if both kinds of windows are given.

    >>> print(windows(np.array([0.5, 1.0, 1.5, 3.0]), n=2, window_seconds=1.0))
    [0 0 1 2]
    """
    checks.require(seconds.size > 0, "got no events, need one at least; give a longer horizon")
    negative = f"got an event at second {seconds.min():g}, need times of at least 0; correct it"
    checks.require(bool(seconds.min() >= 0), negative)
    checks.require(bool((np.diff(seconds) >= 0).all()), "got events out of order, need them in time order; sort them")
    one = "got window_events and window_seconds, need one kind of windows; leave one out"
    checks.require(window_events is None or window_seconds is None, one)
    if window_seconds is None:
        # A short last window would have as many waves as the others, and leave most of them empty.
        even = math.ceil(seconds.size / max(round(seconds.size / (4 * n)), 1))
        size = even if window_events is None else checks.whole("window_events", window_events, 1)
        return np.arange(seconds.size) // size
    checks.bounded("window_seconds", window_seconds, 0, None)
    positive = f"got window_seconds={window_seconds!r}, need more than 0; try {seconds[-1] / 10:g}"
    checks.require(window_seconds > 0, positive)
    checks.fits(int(16 * seconds[-1] / window_seconds), f"{seconds[-1] / window_seconds:,.0f} windows")
    return np.maximum(np.ceil(seconds / window_seconds).astype(np.int64) - 1, 0)
