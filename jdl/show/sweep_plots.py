"""Lines of a sweep: metrics against rounds or against an axis, by colour, dashes and panels."""

from __future__ import annotations

import collections
import dataclasses
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jdl import checks
from jdl.show import columns, intervals, legends, scales, theory_lines
from jdl.show import style as styles
from jdl.show.axes import label_at_ends, labels_fit
from jdl.show.compare import explained
from jdl.show.curve import Curve
from jdl.show.heatmap import heatmap
from jdl.show.panels import Look, cross, cross_handle, panel
from jdl.show.style import COLOURS, DASHES
from jdl.show.sweep_frame import Sweep, is_numeric, read
from jdl.show.sweep_marks import Mark, Shown, across_axis, over_rounds, values_of

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["heatmap", "lines"]

WIDEST = 4  # panels in a row
WAYS = "give hue=, style= or facet= for each of them, or select rows first, as in frame[frame.lr == 0.1]"


def lines(
    frame: pandas.DataFrame,
    x: str = "round",
    y: str | None = None,
    hue: str | None = None,
    style: str | None = None,
    facet: str | None = None,
    band: str | None = "bootstrap",
    path: str | Path | None = None,
    *,
    axes: Sequence[str] | None = None,
    logx: bool | None = None,
    logy: bool | None = None,
    theory: pandas.DataFrame | None = None,
) -> Figure:
    """Draw a metric of a sweep as lines: means over seeds, with a band.

    Against an axis of the sweep, it is the last evaluation of each point. Nothing is averaged but seeds: each axis that
    varies has to be `x`, `hue`, `style` or `facet`. A point of which a seed has diverged has no mean; it is a cross.

    Args:
      frame: the tidy frame of a sweep, with columns `point`, one for each axis, `seed`, `round`, and metrics.
      x: "round", an axis of the sweep, or a metric such as "megabytes".
      y: a metric; by default the test accuracy, mean over nodes, or the loss where there is none.
      hue: the axis that colours show: from dark to light for numbers, different ones otherwise.
      style: the axis that dashes show, of four values at most.
      facet: the axis of which each value has a panel. All panels have the same limits.
      band: "bootstrap" or "t" (95 % intervals of the mean), "std", "minmax", or "none".
      path: the file to write, if any; its ending gives the format.
      axes: the names of the axes of the sweep; by default `frame.attrs["axes"]`, or the columns between "point" and
        "seed".
      logx: whether the x-axis is logarithmic. By default it is for an axis whose values grow by factors.
      logy: whether the y-axis is; see `jdl.compare`.
      theory: what theory predicts, rows like those of the frame, as dotted lines.

    Returns:
      The figure, which a notebook displays.

    Raises:
      InputError: if there is no such column, axis or band, or if an axis that varies is not shown. And if `theory` has
        no column `y`.
    """
    sweep, kind = read(frame, axes), band or "none"
    x = "round" if isinstance(x, str) and x == "rounds" else x
    y = columns.default_y([sweep.frame]) if y is None else y
    names = isinstance(x, str) and isinstance(y, str)
    checks.require(names, f"got x={x!r} and y={y!r}, need a column each; make a figure for each")
    kinds = (*intervals.KINDS, "none")
    checks.require(kind in kinds, f"got band={band!r}, which does not exist; use one of {', '.join(kinds)}")
    _ = x == "round" or x in sweep.axes or sweep.metric(x, "x")
    _ = (y == "round" and x in sweep.axes) or sweep.metric(y, "y")
    for argument, name in {"hue": hue, "style": style, "facet": facet}.items():
        _ = name is None or sweep.axis(name, argument)
    shown, across = Shown.of(sweep, hue, style, facet), x in sweep.axes
    sweep.one_point_each([*shown.values, *([x] if across and x not in shown.values else [])], WAYS)
    styled = len(shown.values[style]) if style else 0
    checks.require(
        styled <= len(DASHES),
        f"got style={style!r} of {styled} values, need {len(DASHES)} at most; take it as hue or as facet",
    )
    of_rows = across_axis if across else over_rounds
    marks, expected = of_rows(sweep, shown, x, y, kind), []
    if theory is not None:
        needed = {x, y} - {*sweep.axes, "round"}
        got = f"got theory=True for {' and '.join(sorted(needed - {*theory}))}, which theory does not predict"
        metrics = [name for name in theory if name not in (*sweep.axes, "point", "seed", "round")]
        checks.require(needed <= {*theory}, f"{got}; use one of {', '.join(metrics)}")
        expected = of_rows(read(theory, sweep.axes), shown, x, y, "none")
    if logx is None:
        logx = across and is_numeric(sweep.frame[x]) and grows_by_factors(values_of(sweep, x))
    return _draw(sweep, shown, marks, expected, x, y, kind, path, logx, logy)


def grows_by_factors(values: Sequence[float]) -> bool:
    """Whether the steps between increasing positive values differ more than the factors between them.

    >>> grows_by_factors([0.01, 0.1, 1.0]), grows_by_factors([4, 8, 12]), grows_by_factors([1, 2])
    (True, False, False)
    """
    values = np.asarray(values, float)
    if values.size < 3 or values[0] <= 0:
        return False
    steps, factors = np.diff(values), np.diff(np.log(values))
    return bool(steps.max() / steps.min() > max(1.5, factors.max() / factors.min()))


def _draw(
    sweep: Sweep,
    shown: Shown,
    marks: list[Mark],
    expected: list[Mark],
    x: str,
    y: str,
    kind: str,
    path: str | Path | None,
    logx: bool,
    logy: bool | None,
) -> Figure:
    across, every = x in sweep.axes, [mark.curve for mark in marks]
    facets = shown.values[shown.facet] if shown.facet else [None]
    wide = min(len(facets), WIDEST)
    down = -(-len(facets) // wide)
    inches = (7.4, 4.4) if len(facets) == 1 else (max(7.4, 3.3 * wide + 0.6), 3.2 * down + 0.3)
    log = scales.is_log(y, every, logy)
    with styles.picture(inches, path) as figure:
        grid = figure.subplots(down, wide, squeeze=False, sharex=True, sharey=True)
        for place, axes in enumerate(grid.ravel()):
            if place >= len(facets):
                axes.remove()
                continue
            here = [mark for mark in marks if shown.facet is None or mark.key[shown.facet] == facets[place]]
            joined = not across or is_numeric(sweep.frame[x])
            curves, looks = [mark.curve for mark in here], [shown.look(mark.key) for mark in here]
            if not joined:
                curves = [_beside(curve, number, len(curves)) for number, curve in enumerate(curves)]
            panel(axes, curves, looks, x, y, logx, log, every, joined)
            for mark in expected:
                if shown.facet is None or mark.key[shown.facet] == facets[place]:
                    theory_lines.over(axes, scales.on_axis(mark.curve.x, logx), scales.on_axis(mark.curve.y, log))
            if across:
                _places(axes, sweep, x, logx)
                _crosses(axes, curves, looks)
            if shown.facet:
                title = textwrap.fill(f"{shown.facet} = {columns.text_of(facets[place])}", 34)
                axes.set_title(title, fontsize=10.5, pad=9)
            if place % wide:
                axes.set_ylabel("")
                axes.tick_params(labelleft=False)
            elif across:
                axes.set_ylabel(f"{columns.title(y)}\n{_when(sweep)}")
        entries = shown.entries()
        if _labelled(grid[0, 0], shown, marks, across, y):
            entries = []
        entries_of_theory = [theory_lines.handle()] if expected else []
        legends.below(
            figure, entries + _explained(marks, kind, across) + entries_of_theory, shown.title if entries else None
        )
    return figure


def _crosses(axes: Axes, curves: Sequence[Curve], looks: Sequence[Look]) -> None:
    """Mark points of which a seed has diverged at the top, those of one place below each other."""
    already: collections.Counter[float] = collections.Counter()
    for curve, look in zip(curves, looks, strict=True):
        for place in curve.x[~np.isfinite(curve.y)]:
            height = 1 - 0.05 * already[place]
            cross(axes, place, height, look.colour, transform=axes.get_xaxis_transform())
            already[place] += 1


def _beside(curve: Curve, number: int, many: int) -> Curve:
    """A line of points over categories, moved so that those of several lines stand side by side."""
    return dataclasses.replace(curve, x=curve.x + (number - (many - 1) / 2) * min(0.1, 0.7 / many))


def _places(axes: Axes, sweep: Sweep, x: str, logx: bool) -> None:
    """Set ticks at the values of an axis, with room on both sides."""
    values = values_of(sweep, x)
    numeric = is_numeric(sweep.frame[x])
    ticks = values if numeric else range(len(values))
    low, high = float(ticks[0]), float(ticks[-1])
    if logx:
        room = (high / low) ** 0.05
        axes.set_xlim(low / room, high * room)
    else:
        room = 0.05 * (high - low) if numeric and high > low else 0.5
        axes.set_xlim(low - room, high + room)
    if not numeric or len(values) <= 8:
        texts = [columns.text_of(value) for value in values]
        axes.set_xticks(ticks, texts)
        axes.set_xticks([], minor=True)
        if sum(map(len, texts)) > 40:
            axes.set_xticks(ticks, texts, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_xlabel(x.replace("_", " "))


def _when(sweep: Sweep) -> str:
    """When the last evaluations were.

    Returns:
      "after 500 rounds", or "after the last round" if points differ.
    """
    last = sweep.frame.groupby("point")["round"].max().unique()
    return f"after {last[0]:,} rounds" if len(last) == 1 else "after the last round"


def _labelled(axes: Axes, shown: Shown, marks: list[Mark], across: bool, y: str) -> bool:
    """Write names beside the ends of lines if these are categories and fit there; tell whether they did."""
    if across or shown.numeric or shown.style or shown.facet or not shown.hue or len(marks) > len(COLOURS):
        return False
    labels = [(mark.curve.y, mark.curve.label, shown.look(mark.key).colour) for mark in marks]
    if not labels_fit(axes, labels, columns.form(y)) or not all(scales.ends_at_edge(axes, m.curve) for m in marks):
        return False
    label_at_ends(axes, labels, columns.form(y))
    return True


def _explained(marks: list[Mark], kind: str, across: bool) -> list[Any]:
    found = explained([mark.curve for mark in marks], kind)
    if across and any(not np.isfinite(mark.curve.y).all() for mark in marks):
        found.append(cross_handle("a seed has diverged"))
    return found
