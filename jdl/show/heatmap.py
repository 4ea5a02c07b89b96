"""Two axes of a sweep as a map, and tables of numbers as maps in general."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jdl import checks
from jdl.show import columns, legends, style
from jdl.show.style import INK
from jdl.show.sweep_frame import by_seed, read
from jdl.show.sweep_marks import values_of

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["cells", "heatmap", "name_cells"]

CELL = (0.8, 0.5)  # inches
LARGEST = (9.0, 7.0)  # inches; of larger maps, cells are smaller
TICKS = 25  # the greatest number of columns or rows that are named one by one
LETTER = 0.085  # the width of a letter, in inches
WAYS = "select one of them first, as in frame[frame.lr == 0.1]"


def heatmap(
    frame: pandas.DataFrame,
    x: str,
    y: str,
    value: str = "mean_accuracy",
    path: str | Path | None = None,
    *,
    axes: Sequence[str] | None = None,
) -> Figure:
    """Draw a metric of a sweep over two of its axes: the mean over seeds at the last evaluation.

    Cells of which a seed has diverged are hatched and say how many; cells without a run are blank. The legend says so.

    Args:
      frame: the tidy frame of a sweep, with columns `point`, one for each axis, `seed`, `round`, and metrics.
      x: the axis of the columns.
      y: the axis of the rows.
      value: the metric.
      path: the file to write, if any; its ending gives the format.
      axes: the names of the axes of the sweep; by default `frame.attrs["axes"]`, or the columns between "point" and
        "seed".

    Returns:
      The figure, which a notebook displays.

    Raises:
      InputError: if there is no such axis or metric, or if another axis varies.
    """
    sweep = read(frame, axes)
    sweep.axis(x, "x"), sweep.axis(y, "y"), sweep.metric(value, "value")
    checks.require(x != y, f"got x={x!r} and y={y!r}, need two axes; table.plot draws one")
    sweep.one_point_each([x, y], WAYS)
    across, down = values_of(sweep, x), values_of(sweep, y)
    mean, seeds, lost = (np.zeros((len(down), len(across))) for _ in range(3))
    for (row, column), rows in sweep.last().groupby([y, x], sort=False):
        values = by_seed(rows, "point", value)[1][0]
        at = down.index(row), across.index(column)
        mean[at], seeds[at], lost[at] = values.mean(), values.size, np.sum(~np.isfinite(values))
    usable = (seeds > 0) & (lost == 0)
    texts = [[columns.text_of(one) for one in names] for names in (across, down)]
    with style.picture(size(*texts), path, grid=False) as figure:
        ax = figure.subplots()
        most = int(seeds.max())
        over = f", mean over {most} seeds" if most > 1 else ""
        title = textwrap.fill(f"{columns.title(value)}{over}", int(figure.get_figwidth() / LETTER))
        figure.suptitle(title, fontsize=10.5)
        name_cells(ax, *texts)
        cells(ax, np.where(usable, mean, np.nan), columns.form(value))
        ax.set(xlabel=x.replace("_", " "), ylabel=y.replace("_", " "))
        _legend(figure, ax, seeds, lost)
    return figure


def size(across: Sequence[str], down: Sequence[str]) -> tuple[float, float]:
    """The width and the height of a figure with cells of these columns and rows, in inches."""
    names = zip(LARGEST, CELL, (across, down), strict=True)
    wide, high = (min(largest, cell * len(texts)) for largest, cell, texts in names)
    turned = 0.65 * LETTER * max(map(len, across)) if _turned(across) else 0.2
    return max(4.2, wide + 1.4 + LETTER * max(map(len, down))), max(2.6, high + 1.0 + turned)


def _turned(across: Sequence[str]) -> bool:
    """Whether the names of columns are wider than columns."""
    return max(map(len, across)) * LETTER > min(CELL[0], LARGEST[0] / min(len(across), TICKS))


def cells(ax: Axes, values: np.ndarray, form: str, limits: tuple[float, float] | None = None) -> None:
    """Draw a table of numbers as colours, with the numbers in the cells where they fit, and a colour bar.

    Args:
      ax: where.
      values: f[R, C]; what is not finite has no colour and no number.
      form: the format of a number.
      limits: the values of the first and the last colour; by default the smallest and the largest.
    """
    from matplotlib.colors import LogNorm, Normalize

    usable = values[np.isfinite(values)]
    low, high = limits or ((usable.min(), usable.max()) if usable.size else (0.0, 1.0))
    norm = LogNorm(low, high) if limits is None and low > 0 and high > 100 * low else Normalize(low, high)
    picture = ax.imshow(np.ma.masked_invalid(values), cmap="viridis", norm=norm, aspect="auto")
    bar = ax.figure.colorbar(picture, ax=ax, pad=0.02, fraction=0.08)
    bar.outline.set_visible(False)
    if form.endswith("%}"):
        bar.ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    rows, across = values.shape
    ax.set_xticks(np.arange(across + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1.0 if max(values.shape) <= TICKS else 0)
    ax.tick_params(which="minor", length=0)
    texts = [
        ax.text(column, row, form.format(values[row, column]), ha="center", va="center", fontsize=9,
                color="white" if norm(values[row, column]) < 0.6 else INK)
        for row, column in np.argwhere(np.isfinite(values))
    ]  # fmt: skip
    if not _fit(ax, texts):
        for text in texts:
            text.remove()


def _fit(ax: Axes, texts: list[Any]) -> bool:
    """Whether all texts are narrower and lower than a cell."""
    ax.figure.draw_without_rendering()
    width, height = np.abs(ax.transData.transform((1, 1)) - ax.transData.transform((0, 0)))
    boxes = [text.get_window_extent() for text in texts]
    return all(box.width < 0.94 * width and box.height < 0.94 * height for box in boxes)


def name_cells(ax: Axes, across: Sequence[str], down: Sequence[str]) -> None:
    """Name columns and rows, not all of them if there are many; names that are wider than a column are turned."""
    places, lines = (range(0, len(texts), -(-len(texts) // TICKS)) for texts in (across, down))
    turn = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if _turned(across) else {}
    ax.set_xticks(places, [across[place] for place in places], **turn)
    ax.set_yticks(lines, [down[place] for place in lines])


def _legend(figure: Figure, ax: Axes, seeds: np.ndarray, lost: np.ndarray) -> None:
    """Hatch the cells of which a seed has diverged, and explain them and those without a run."""
    from matplotlib.patches import Patch, Rectangle

    hatched = {"facecolor": "#f2f2f2", "edgecolor": "#b0b0b0", "hatch": "////", "linewidth": 0}
    texts = []
    for row, column in np.argwhere(lost > 0):
        ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **hatched))
        if seeds[row, column] > 1:
            text = f"{lost[row, column]:.0f} of {seeds[row, column]:.0f}"
            box = {"facecolor": "#f2f2f2", "edgecolor": "none", "pad": 1.0}
            texts.append(ax.text(column, row, text, ha="center", va="center", fontsize=8, bbox=box))
    if not _fit(ax, texts):
        for text in texts:
            text.remove()
        texts = []
    many = ": how many of the seeds" if texts else ""
    handles = [Patch(label=f"diverged{many}", **hatched)] if (lost > 0).any() else []
    if (seeds == 0).any():
        handles.append(Patch(facecolor="white", edgecolor="#b0b0b0", linewidth=0.8, label="not run"))
    legends.below(figure, handles)
