"""The lines of a sweep: which rows belong to each, its mean over seeds, and how it looks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from jdl.show import columns, intervals
from jdl.show.curve import Curve
from jdl.show.panels import Look, handle, look_of
from jdl.show.style import COLOURS, DASHES, INK
from jdl.show.sweep_frame import Sweep, by_seed, is_numeric

__all__ = ["Mark", "Shown", "across_axis", "over_rounds", "values_of"]


@dataclasses.dataclass(frozen=True)
class Mark:
    """A line, and the value that it has of each axis that is shown."""

    key: Mapping[str, Any]
    curve: Curve


@dataclasses.dataclass(frozen=True)
class Shown:
    """The axes of a sweep that are shown by colours, dashes and panels.

    Attributes:
      hue: the axis that colours show, or None.
      style: the axis that dashes show, or None.
      facet: the axis that panels show, or None.
      values: the values of each of these axes: numbers in increasing order, others as they first occur.
      numeric: whether the values of `hue` are numbers.
    """

    hue: str | None
    style: str | None
    facet: str | None
    values: Mapping[str, list[Any]]
    numeric: bool

    @classmethod
    def of(cls, sweep: Sweep, hue: str | None, style: str | None, facet: str | None) -> Shown:
        """Read the values of the axes that are shown."""
        names = [name for name in (hue, style, facet) if name]
        values = {name: values_of(sweep, name) for name in names}
        return cls(hue, style, facet, values, bool(hue) and is_numeric(sweep.frame[hue]))

    def look(self, key: Mapping[str, Any]) -> Look:
        """The look of a line."""
        place = self.values[self.hue].index(key[self.hue]) if self.hue else 0
        dashes = DASHES[self.values[self.style].index(key[self.style])] if self.style else None
        return Look(self._colour(place), dashes or ("solid" if self.numeric else look_of(place).dashes))

    def _colour(self, place: int) -> Any:
        from matplotlib import colormaps

        many = len(self.values[self.hue]) if self.hue else 1
        if self.numeric and many > 1:
            return colormaps["viridis"](0.9 * place / (many - 1))
        if self.style and many > len(COLOURS):  # dashes show another axis
            return colormaps["turbo"](0.05 + 0.9 * place / (many - 1))
        return COLOURS[place % len(COLOURS)]

    def entries(self) -> list[Any]:
        """The entries of a legend that say what colours and dashes are."""
        both = self.hue and self.style and self.hue != self.style
        found = []
        if self.hue:
            for value in self.values[self.hue]:
                name = f"{self.hue} = {columns.text_of(value)}" if both else columns.text_of(value)
                key = {self.hue: value} | ({self.style: self.values[self.style][0]} if both else {})
                look = self.look(key | {self.hue: value})
                found.append(handle(Look(look.colour, "solid") if both else look, name))
        if self.style and self.style != self.hue:
            for value, dashes in zip(self.values[self.style], DASHES, strict=False):
                name = f"{self.style} = {columns.text_of(value)}" if both else columns.text_of(value)
                found.append(handle(Look(INK if both else COLOURS[0], dashes), name))
        return found

    @property
    def title(self) -> str | None:
        """What the entries are, where they are of one axis."""
        names = {name for name in (self.hue, self.style) if name}
        return columns.title(names.pop()) if len(names) == 1 else None


def values_of(sweep: Sweep, name: str) -> list[Any]:
    """The values of an axis: numbers in increasing order, others as they first occur."""
    found = list(sweep.frame[name].unique())
    return sorted(found) if is_numeric(sweep.frame[name]) else found


def _groups(rows: Any, shown: Shown) -> list[tuple[dict[str, Any], Any]]:
    """The rows of each line, in the order of values."""
    names = list(shown.values)
    if not names:
        return [({}, rows)]
    found = [(dict(zip(names, key, strict=True)), group) for key, group in rows.groupby(names, sort=False)]
    return sorted(found, key=lambda one: [shown.values[name].index(value) for name, value in one[0].items()])


def over_rounds(sweep: Sweep, shown: Shown, x: str, y: str, kind: str) -> list[Mark]:
    """The lines over rounds, or over a metric at these rounds.

    Args:
      sweep: the sweep.
      shown: the axes by which lines differ.
      x: "round", or a metric, of which the mean over seeds is taken.
      y: the metric.
      kind: that of the intervals, or "none".
    """
    marks = []
    for key, rows in _groups(sweep.frame, shown):
        rounds, values = by_seed(rows, "round", y)
        along = rounds if x == "round" else by_seed(rows, "round", x)[1].mean(axis=1)
        last = rows.sort_values("round", kind="stable").groupby("seed")[y].last(skipna=False)
        label = ", ".join(columns.text_of(value) for name, value in key.items() if name != shown.facet)
        mean, low, high = _interval(values, kind)
        diverged = int((~np.isfinite(last.to_numpy(float))).sum())
        marks.append(Mark(key, Curve(label, along.astype(float), mean, low, high, values.shape[1], diverged)))
    return marks


def across_axis(sweep: Sweep, shown: Shown, x: str, y: str, kind: str) -> list[Mark]:
    """The lines of the last evaluations against an axis, whose values are places 0, 1, ... unless they are numbers.

    Args:
      sweep: the sweep.
      shown: the other axes by which lines differ.
      x: the axis.
      y: the metric.
      kind: that of the intervals, or "none".
    """
    marks, order = [], values_of(sweep, x)
    for key, rows in _groups(sweep.last(), shown):
        places, values = by_seed(rows, x, y)
        along = places if is_numeric(sweep.frame[x]) else np.array([order.index(place) for place in places])
        sort = np.argsort(along)
        mean, low, high = (values[sort] for values in _interval(values, kind))
        label = ", ".join(columns.text_of(value) for value in key.values())
        marks.append(Mark(key, Curve(label, along[sort].astype(float), mean, low, high, values.shape[1], 0)))
    return marks


def _interval(values: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean over seeds and its interval, NaN where a seed has diverged: a mean of the others looks too good."""
    found = np.array(intervals.interval(values, "minmax" if kind == "none" else kind))
    found[:, ~np.isfinite(values).all(axis=1)] = np.nan
    if kind == "none" or values.shape[1] == 1:
        found[1:] = np.nan
    return tuple(found)
