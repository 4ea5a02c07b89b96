"""A panel of lines with bands, fitted to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jdl.show import columns, scales
from jdl.show.curve import Curve
from jdl.show.style import COLOURS, DASHES, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Look", "band_handle", "cross", "cross_handle", "handle", "look_of", "panel"]

FEW = 12  # points; of fewer, each is marked


class Look(NamedTuple):
    """The colour and the dashes of a line."""

    colour: Any
    dashes: Any = "solid"


def look_of(number: int) -> Look:
    """The look of the line of this number, which the 24 first lines do not share."""
    return Look(COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)])


def panel(
    axes: Axes,
    curves: Sequence[Curve],
    looks: Sequence[Look],
    x: str,
    y: str,
    logx: bool,
    log: bool,
    fitted: Sequence[Curve] | None = None,
    joined: bool = True,
) -> None:
    """Draw lines with their bands, and a cross where one diverges.

    Args:
      axes: where.
      curves: the lines.
      looks: the look of each.
      x: the column along the axis.
      y: the column of the lines.
      logx: whether the x-axis is logarithmic.
      log: whether the y-axis is.
      fitted: the lines to which the limits are fitted; None for those that are drawn.
      joined: whether points are joined; those of categories are not, and have bars in place of bands.
    """
    axes.set(xlabel=columns.title("round" if x == "rounds" else x), ylabel=columns.title(y))
    axes.xaxis.set_tick_params(labelbottom=True)
    few = max(curve.x.size for curve in fitted or curves) < FEW
    for whole, look in zip(curves, looks, strict=True):
        level = np.ptp(whole.x) == 0  # such as megabytes of a run that sends nothing: a line at one height
        # matplotlib would draw a round 0 far to the left of a logarithmic axis, and a line from there.
        curve = whole if level else dataclasses.replace(whole, x=scales.on_axis(whole.x, logx))
        if joined:
            _line(axes, curve, look, log, few)
        else:
            _points(axes, curve, look, log)
    scales.fit_x(axes, x, fitted or curves, logx)
    scales.fit_y(axes, y, fitted or curves, log)
    for curve, look in zip(curves, looks, strict=True):
        end = scales.last_shown(axes, curve.x, scales.on_axis(curve.y, log)) if curve.diverged else None
        if end is not None:
            cross(axes, *end, look.colour)


def _line(axes: Axes, curve: Curve, look: Look, log: bool, few: bool) -> None:
    y = scales.on_axis(curve.y, log)
    low, high = scales.on_axis(curve.low, log, clip=True), scales.on_axis(curve.high, log)
    axes.fill_between(curve.x, low, high, color=look.colour, alpha=0.15, linewidth=0)
    if curve.x.size > 1 and np.ptp(curve.x) == 0:
        axes.axhline(y[-1], color=look.colour, linewidth=1.4, linestyle=(0, (1, 2)), label=curve.label)
        return
    marked = {"marker": "o", "markersize": 4.5, "clip_on": curve.diverged > 0} if few else {}
    axes.plot(curve.x, y, color=look.colour, linewidth=2, linestyle=look.dashes, label=curve.label, **marked)


def _points(axes: Axes, curve: Curve, look: Look, log: bool) -> None:
    y = scales.on_axis(curve.y, log)
    low, high = scales.on_axis(curve.low, log, clip=True), scales.on_axis(curve.high, log)
    reach = np.nan_to_num(np.stack([y - low, high - y]))
    axes.errorbar(curve.x, y, np.maximum(reach, 0), color=look.colour, fmt="o", markersize=5, elinewidth=1.6)


def cross(axes: Axes, x: float, y: float, colour: Any, **options: Any) -> None:
    """Mark a place where a run diverged, with options of matplotlib's `plot`."""
    axes.plot(x, y, "x", color=colour, markersize=8, markeredgewidth=2, clip_on=False, zorder=4, **options)


def handle(look: Look, label: str) -> Any:
    """The entry of a line in a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=look.colour, linewidth=2, linestyle=look.dashes, label=label)


def band_handle(label: str) -> Any:
    """The entry of a band in a legend."""
    from matplotlib.patches import Patch

    return Patch(color=INK, alpha=0.2, linewidth=0, label=label)


def cross_handle(label: str) -> Any:
    """The entry of crosses in a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=INK, linestyle="none", marker="x", markersize=7, markeredgewidth=2, label=label)
