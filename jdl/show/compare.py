"""Several runs in one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jdl import checks
from jdl.show import columns, intervals, legends, scales, style
from jdl.show.axes import label_at_ends, labels_fit
from jdl.show.curve import Curve, curves_of, kind_of
from jdl.show.panels import Look, band_handle, cross_handle, handle, look_of, panel
from jdl.show.style import COLOURS, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["compare", "explained"]

NODES = "worst to best node"


def compare(
    runs: Mapping[str, Any],
    x: str = "rounds",
    y: str | Sequence[str] | None = None,
    band: str | None = None,
    path: str | Path | None = None,
    *,
    nodes: int | Mapping[str, int] | None = None,
    logx: bool = False,
    logy: bool | None = None,
) -> Figure:
    """Draw several runs in one figure.

    Where runs have several seeds, a line is the mean over them and the band an interval, which the legend names; a line
    ends where the first seed has diverged. Names stand beside the ends of lines if there is room, otherwise in a legend
    below. The axes are fitted to the data; if some runs diverged and others did not, to those that did not.

    Args:
      runs: results, histories or dicts of columns by name, at least one. A column is f[E] of E evaluations, or f[E, S]
        of S seeds.
      x: "rounds", "megabytes" (sent by a node), "simulated_seconds", "joules", or any column. Where it differs by seed,
        its mean is taken.
      y: a column, or several: a panel each. By default the mean test accuracy, else the mean loss above the optimum,
        else the mean loss.
      band: over seeds "bootstrap" or "t" (95 % intervals of the mean), "std" or "minmax"; "nodes" reaches from the
        worst node to the best; "none" draws none. By default "bootstrap" if a run has seeds, otherwise "nodes" for up
        to six runs and "none" for more.
      path: the file to write, if any; its ending gives the format.
      nodes: the number of nodes of runs that do not tell, for "megabytes": one number, or one by name.
      logx: whether the x-axis is logarithmic. What is not positive is left out, such as round 0.
      logy: whether the y-axes are logarithmic. By default they are where values, none of them an accuracy, are positive
        and span more than two decades.

    Returns:
      The figure, which a notebook displays.

    Raises:
      InputError: if there is no run, column or band of that name, or if a logarithmic axis has no positive values.

    >>> t = np.arange(3)
    >>> ring, torus = ({"round": t, "mean_loss": 2.0 - t / links} for links in (4, 3))
    >>> figure = compare({"ring": ring, "torus": torus})
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['torus 1.33', 'ring 1.5']
    """
    checks.require(
        isinstance(runs, Mapping) and len(runs) > 0,
        f"got {'no runs' if isinstance(runs, Mapping) else type(runs).__name__}, need a dict of results by name; "
        'try jdl.compare({"ring": result})',
    )
    x = "rounds" if x == "round" else x
    tables = {str(name): columns.columns_of(name, run, _nodes(nodes, name)) for name, run in runs.items()}
    names = [columns.default_y(tables.values())] if y is None else [y] if isinstance(y, str) else list(y)
    checks.require(bool(names), "got no columns as y, need one at least; leave y out for the best default")
    kind = kind_of(tables, names, band)
    panels = [curves_of(tables, x, name, kind) for name in names]
    checks.require(
        band != "nodes" or any(np.isfinite(curve.low).any() for panel in panels for curve in panel),
        f"got band='nodes', but no run has a worst and a best node of {names[0]!r}; leave band out",
    )
    return draw(panels, x, names, kind, path, logx, logy)


def _nodes(nodes: int | Mapping[str, int] | None, name: str) -> int | None:
    return nodes.get(name) if isinstance(nodes, Mapping) else nodes


def draw(
    panels: Sequence[Sequence[Curve]],
    x: str,
    names: Sequence[str],
    kind: str,
    path: str | Path | None,
    logx: bool,
    logy: bool | None,
) -> Figure:
    """Draw panels of lines side by side; see `compare`.

    Args:
      panels: the lines of each panel, of the same runs in the same order.
      x: the column along the axes.
      names: the column of each panel.
      kind: that of the bands.
      path: the file to write, if any.
      logx: whether the x-axes are logarithmic.
      logy: whether the y-axes are; None to choose.
    """
    many = len(panels)
    across = min(many, 3)
    down = -(-many // across)
    with style.picture((7.4 if many == 1 else 4.7 * across, 4.4 * down), path) as figure:
        all_axes = figure.subplots(down, across, squeeze=False, sharex=True).ravel()
        for axes in all_axes[many:]:
            axes.remove()
        looks = [look_of(number) for number in range(len(panels[0]))]
        for axes, curves, name in zip(all_axes, panels, names, strict=False):
            panel(axes, curves, looks, x, name, logx, scales.is_log(name, curves, logy))
        labelled = _label_ends(all_axes[:many], panels, names)
        handles = [] if labelled else [handle(*pair) for pair in zip(looks, labels_of(panels), strict=True)]
        handles += explained([curve for panel in panels for curve in panel], kind)
        legends.below(figure, handles)
    return figure


def _label_ends(all_axes: Sequence[Axes], panels: Sequence[Sequence[Curve]], names: Sequence[str]) -> bool:
    """Write names beside the ends of lines if they fit there in all panels; tell whether they did."""
    if len(panels[0]) > len(COLOURS) or len(panels) > 2:
        return False
    every = []
    for axes, curves, name in zip(all_axes, panels, names, strict=True):
        labels = [(curve.y, curve.label, COLOURS[number]) for number, curve in enumerate(curves)]
        if not labels_fit(axes, labels, columns.form(name)) or not all(scales.ends_at_edge(axes, c) for c in curves):
            return False
        every.append((axes, labels, columns.form(name)))
    for axes, labels, form in every:
        label_at_ends(axes, labels, form)
    return True


def labels_of(panels: Sequence[Sequence[Curve]]) -> list[str]:
    """The names of the lines, which say what diverged in any panel."""
    return [max((curve.label for curve in same), key=len) for same in zip(*panels, strict=True)]


def explained(curves: Sequence[Curve], kind: str) -> list[Any]:
    """The entries of a legend that say what lines, bands and crosses are.

    Args:
      curves: all lines.
      kind: that of their bands.
    """
    seeds = sorted({curve.seeds for curve in curves if curve.seeds > 1})
    numbers = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}" if seeds else ""
    found = [handle(Look(INK), f"mean over {numbers} seeds")] if seeds else []
    if any(np.isfinite(curve.low).any() for curve in curves):
        over = ", mean over seeds" if seeds else ""
        found.append(band_handle(f"{NODES}{over}" if kind == "nodes" else intervals.in_words(kind, numbers)))
    if any(curve.diverged for curve in curves):
        found.append(cross_handle("a seed has diverged" if seeds else "diverged"))
    return found
