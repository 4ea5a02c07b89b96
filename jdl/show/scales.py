"""Scales and limits of axes that are fitted to the lines on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from jdl import checks
from jdl.show import columns
from jdl.show.axes import accuracy_limits, log_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Line", "ends_at_edge", "fit_x", "fit_y", "is_log", "last_shown", "on_axis"]

DECADES = 2.0  # values that span more are drawn on a logarithmic axis
EDGE = 0.85  # of the x-axis, after which a line ends beside its label
FROM_ZERO = ("round", "rounds", "megabytes", "seconds", "simulated_seconds", "joules", "bits_sent", "bits_received")


class Line(Protocol):
    """A line with a band, f[E] each; NaN where there is none."""

    name: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray
    diverged: int


def is_log(name: str, lines: Sequence[Line], wish: bool | None) -> bool:
    """Whether the axis of a column is logarithmic.

    Args:
      name: the column.
      lines: its lines.
      wish: what the caller asked for; None for a logarithmic axis if values are positive and span over two decades.

    Raises:
      InputError: if one is asked for and values are not positive.
    """
    if wish:
        for line in lines:
            wrong = line.y[np.isfinite(line.y) & (line.y <= 0)]
            exact = name in columns.NEVER_NEGATIVE and (line.y > 0).any()
            checks.require(
                exact or wrong.size == 0,
                f"got logy=True, but {name!r} of {line.name!r} has values that are not positive, such as "
                f"{wrong[0] if wrong.size else 0:.3g}; leave logy out",
            )
    if wish is not None:
        return wish
    y = np.concatenate([line.y for line in lines])
    y = y[np.isfinite(y)]
    positive = y[y > 0]
    if (
        columns.is_accuracy(name)
        or positive.size == 0
        or (name not in columns.NEVER_NEGATIVE and positive.size < y.size)
    ):
        return False
    return bool(np.log10(positive.max()) - np.log10(positive.min()) > DECADES)


def on_axis(values: np.ndarray, log: bool, clip: bool = False) -> np.ndarray:
    """The values that an axis can show, NaN for others; `clip` replaces what is not positive by a tiny number."""
    usable = np.isfinite(values)
    if log:
        values = np.maximum(values, np.finfo(float).tiny) if clip else values
        usable &= values > 0
    return np.where(usable, values, np.nan)


def fit_x(axes: Axes, x: str, lines: Sequence[Line], log: bool) -> None:
    """Set the limits of the x-axis: from 0 for rounds and for what runs spend, otherwise around all points.

    Raises:
      InputError: if the axis is to be logarithmic and nothing is positive.
    """
    along = np.concatenate([line.x[np.isfinite(line.x)] for line in lines])
    if log:
        positive = along[along > 0]
        checks.require(positive.size > 0, f"got logx=True, but {x!r} has no positive value; leave logx out")
        axes.set_xscale("log")
        low, high = positive.min(), positive.max()
        axes.set_xlim((low, high) if high > low else (low / 2, high * 2))
    elif along.size and np.ptp(along) == 0:  # one evaluation
        axes.set_xlim(along[0] - 1, along[0] + 1)
        axes.set_xticks(along[:1])
    elif along.size:
        axes.set_xlim(0 if x in FROM_ZERO else along.min(), along.max())
        if x in ("round", "rounds"):
            axes.xaxis.get_major_locator().set_params(integer=True)


def fit_y(axes: Axes, name: str, lines: Sequence[Line], log: bool) -> None:
    """Set the scale and the limits of the y-axis around all lines and bands.

    If some lines diverged and others did not, the limits are those of the others.
    """
    calm = [line for line in lines if not line.diverged and np.isfinite(line.y).any()] or lines
    y = np.concatenate([on_axis(line.y, log) for line in calm])
    ends = np.concatenate([np.concatenate([on_axis(line.low, log), on_axis(line.high, log)]) for line in calm])
    y, ends = y[np.isfinite(y)], ends[np.isfinite(ends)]
    if log:
        axes.set_yscale("log")
    if columns.is_accuracy(name) and y.size and y.min() >= 0 and y.max() <= 1:
        accuracy_limits(axes)
    elif y.size == 0:
        axes.set_ylim((1, 10) if log else (0, 1))
    elif log:
        # A band of deviations may reach down to zero, which is infinitely far: a decade below the lines is enough.
        low = min(y.min(), max([y.min() / 10, ends.min()]) if ends.size else y.min())
        high = max([y.max(), *ends])
        axes.set_ylim(low / 1.3, high * 1.3)
        log_ticks(axes)
    else:
        low, high = min([y.min(), *ends]), max([y.max(), *ends])
        room = 0.05 * (high - low) or 0.05 * max(abs(high), 1e-12)
        axes.set_ylim(0 if 0 <= low < room else low - room, high + room)


def last_shown(axes: Axes, x: np.ndarray, y: np.ndarray) -> tuple[float, float] | None:
    """Where a line ends, or where it first leaves the axes through the top; None if it has no point.

    Args:
      axes: the axes, whose limits are set.
      x: f[E], where.
      y: f[E], the values, NaN where there is none.
    """
    usable = np.isfinite(x) & np.isfinite(y)
    x, y, top = x[usable], y[usable], axes.get_ylim()[1]
    if x.size == 0:
        return None
    above = np.flatnonzero(y > top)
    if above.size == 0:
        return x[-1], y[-1]
    first = above[0]
    if first == 0:
        return x[0], top
    at, up = ([values[first - 1], values[first]] for values in (x, y))
    log = np.log if axes.get_yscale() == "log" else np.asarray
    return float(np.interp(log(top), log(up), at)), top


def ends_at_edge(axes: Axes, line: Line) -> bool:
    """Whether a line ends at the right edge of its axes, where its label is."""
    last = np.flatnonzero(np.isfinite(line.y))
    if last.size == 0 or np.ptp(line.x) == 0:
        return True
    to_axes = axes.transScale + axes.transLimits
    return bool(to_axes.transform((line.x[last[-1]], axes.get_ylim()[0]))[0] >= EDGE)
