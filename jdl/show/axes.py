"""Limits, ticks and labels of axes."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["accuracy_limits", "label_at_ends", "labels_fit", "log_ticks"]


def accuracy_limits(axes: Axes) -> None:
    """Set the limits to multiples of 0.1 that enclose everything drawn, at least 0.2 apart and within 0 and 1.

    Ticks are whole percents.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    low, high = axes.dataLim.intervaly
    if not (np.isfinite(low) and np.isfinite(high)):
        low, high = 0.0, 1.0
    bottom, top = np.floor(10 * low) / 10, np.ceil(10 * high) / 10
    axes.set_ylim(max(0.0, min(bottom, top - 0.2)), min(1.0, max(top, bottom + 0.2)))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=9, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))


def log_ticks(axes: Axes) -> None:
    """Set the ticks of a logarithmic axis of at most two decades to 1, 2 and 5 times powers of ten, as plain numbers.

    The limits are ticks too. Other axes stay as they are.
    """
    low, high = axes.dataLim.intervaly
    if axes.get_yscale() != "log" or not 0 < low <= high < np.inf or high > 100 * low:
        return
    exponents = np.arange(np.floor(np.log10(low)) - 1, np.ceil(np.log10(high)) + 2)
    marks = np.sort(np.outer(10.0**exponents, (1, 2, 5)).ravel())
    marks = marks[np.searchsorted(marks, low, "right") - 1 : np.searchsorted(marks, high, "left") + 1]
    if len(marks) < 2:  # a level line at a tick
        return
    axes.set_ylim(marks[0], marks[-1])
    axes.set_yticks(marks, [f"{mark:g}" for mark in marks])
    axes.set_yticks([], minor=True)


Labels = list[tuple[np.ndarray, str, str]]  # the values, the name and the colour of each line
WIDTH = 22  # of a label, in characters
LINE = 0.072  # the height of a line of text, as a fraction of the axes, in figures 4.4 inches high
SHIFT = 0.12  # how far a label may stand from its line, as a fraction of the axes


def label_at_ends(axes: Axes, labels: Labels, form: str) -> None:
    """Write the names and the last values of lines beside their ends, with a distance if lines end close together.

    Args:
      axes: the axes of the lines.
      labels: the values, the name and the colour of each line.
      form: the format of a value.
    """
    for _, height, text, colour in _places(axes, labels, form):
        axes.text(1.015, height, text, color=colour, transform=axes.transAxes, va="center", linespacing=1.05)


def labels_fit(axes: Axes, labels: Labels, form: str) -> bool:
    """Whether names beside the ends of lines are short, do not overlap, and stand close to their lines."""
    places = _places(axes, labels, form)
    lines = [text.count("\n") + 1 for _, _, text, _ in places]
    near = all(abs(height - end) <= SHIFT for end, height, _, _ in places)
    return near and sum(lines) * LINE <= 1 and max(lines, default=1) <= 2


def _places(axes: Axes, labels: Labels, form: str) -> list[tuple[float, float, str, str]]:
    """For each line that has a last value: where it ends, where its label stands, the text, and the colour."""
    axes.get_ylim()  # makes matplotlib compute the limits now
    to_axes = axes.transScale + axes.transLimits
    ends = [(values[np.isfinite(values)][-1:], name, colour) for values, name, colour in labels]
    ends = sorted(((end[0], name, colour) for end, name, colour in ends if end.size), key=lambda end: end[0])
    texts = [textwrap.fill(f"{name} {form.format(end)}", WIDTH) for end, name, _ in ends]
    true = np.array([to_axes.transform((0, end))[1] for end, *_ in ends])
    heights = np.clip(true, 0, 1)  # of a line that leaves the axes, the label stands at the edge
    halves = np.array([LINE / 2 * (1 + text.count("\n")) for text in texts])
    for _ in range(100):
        overlap = np.maximum(0, halves[1:] + halves[:-1] - np.diff(heights)) / 2
        heights[1:] += overlap
        heights[:-1] -= overlap
        heights = np.maximum(heights, halves)
    colours = [colour for *_, colour in ends]
    return list(zip(np.clip(true, 0, 1), heights, texts, colours, strict=True))
