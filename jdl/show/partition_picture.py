"""A picture of a partition: which labels each node holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jdl.data.partition.report import classes, heterogeneity, label_histogram
from jdl.data.partition.table import Partition
from jdl.show.style import GRID, STYLE, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw"]

BUBBLES = 100  # the greatest number of nodes that are drawn as bubbles
COLUMNS = 200  # about how many columns of stacked shares are drawn
TABLE = 20  # the greatest number of classes that the legend names one by one


def draw(split: Partition, labels: np.ndarray, ax: Axes | None = None, path: str | Path | None = None) -> Figure:
    """Draw which labels each node holds: as bubbles for up to 100 nodes, as stacked shares for more.

    Bubbles: each node has a column and each class a row. The area of a bubble is proportional to the number of
    examples, except that the smallest bubbles are enlarged to be visible.

    Stacked shares: the nodes that have data are sorted by their main label, the one they hold most of (a random one of
    several), and then by its share. A column shows the main label at the bottom and the other labels above it. It is
    the mean over neighbouring nodes in this order, so that there are about 200 columns.

    Args:
      split: the partition, of n nodes.
      labels: i32[N], the class of each example: whole numbers or names.
      ax: the axes to draw on; by default a new figure, which for more than 100 nodes also shows the numbers of
        examples.
      path: the file to write, if any.

    Returns:
      The figure.

    Raises:
      InputError: if the labels are not classes, or if the file cannot be written.

    >>> labels = np.array([0, 0, 1, 1])
    >>> figure = draw(Partition(np.array([[0, 1], [2, 3]], np.int32), np.array([2, 2], np.int32)), labels)
    >>> figure.axes[0].get_xlabel()
    'node'
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names, members = classes(labels)
    counts = label_histogram(split, members, names.size)
    few = counts.shape[0] <= BUBBLES
    with matplotlib.rc_context(STYLE):
        sizes = None
        if ax is None:
            figure = Figure(figsize=_inches(counts, few), layout="constrained")
            FigureCanvasAgg(figure)
            if few:
                ax = figure.subplots()
            else:
                ax, sizes = figure.subplots(2, 1, height_ratios=(4, 1))
            skew = heterogeneity(split, labels)
            title = f"{counts.shape[0]:,} node{'s' * (len(counts) > 1)}, {counts.sum():,} examples"
            title += f"; largest circle: {counts.max():,}" if few else ""
            facts = (
                f"effective classes per node: {skew.effective_classes:.1f}; nodes without data: {skew.empty_nodes:,}"
            )
            figure.suptitle(f"{title}\n{facts}", fontsize=10.5)
        (_bubbles if few else _stacked)(ax, counts, names)
        if sizes is not None:
            _sizes(sizes, np.sort(split.counts)[::-1])
        figure = ax.figure
        if path is not None:
            save(figure, path, dpi=150)
    return figure


def _inches(counts: np.ndarray, few: bool) -> tuple[float, float]:
    nodes, rows = counts.shape
    return (min(max(4, 3 + 0.35 * nodes), 14), min(1.6 + 0.32 * rows, 9)) if few else (10, 5.6)


def _bubbles(ax: Axes, counts: np.ndarray, names: np.ndarray) -> None:
    nodes, rows = counts.shape
    ax.set(xlim=(-0.7, nodes - 0.3), ylim=(-0.7, rows - 0.3), xlabel="node", ylabel="class")
    node, label = np.nonzero(counts)
    # In points: the largest bubble has twice the area of a cell, unless rows are close; the smallest is still visible.
    box = ax.get_position()
    wide, high = ax.figure.get_size_inches() * (box.width, box.height) * 72 / (nodes + 0.4, rows + 0.4)
    largest = min(2 * wide * high, (1.1 * high) ** 2, 36.0**2)
    area = np.maximum(largest * counts[node, label] / counts.max(), 1.5)
    ax.scatter(node, label, s=area, c=_colours(rows)[label], linewidths=0, alpha=0.85)
    ax.set_xticks(range(0, nodes, -(-nodes // 20)))
    ax.set_yticks(*_ticks(names))
    _grid(ax)


def _stacked(ax: Axes, counts: np.ndarray, names: np.ndarray) -> None:
    main, shares, at = _columns(counts)
    columns = np.arange(main.size)
    bottom = shares[columns, main]
    rest = shares.copy()
    rest[columns, main] = 0
    ends = bottom[:, None] + np.cumsum(rest, axis=1)

    def fill(low, high, colour, name=None):  # with steps, so that each column has a flat top
        low, high = np.append(low, low[-1]), np.append(high, high[-1])
        ax.fill_between(at, low, high, step="post", color=colour, linewidth=0, label=name, antialiased=False)

    for c, colour in enumerate(_colours(names.size)):
        fill(ends[:, c] - rest[:, c], ends[:, c], colour)
        fill(np.zeros(main.size), np.where(main == c, bottom, 0), colour, str(names[c]))
    ax.set(xlim=(0, at[-1]), ylim=(0, 1), xlabel="nodes with data, sorted by main label", ylabel="share of labels")
    if names.size <= TABLE:
        handles, texts = ax.get_legend_handles_labels()
        place = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "frameon": False, "fontsize": 9}
        ax.legend(handles[::-1], texts[::-1], title="class", **place)
    else:
        _scale(ax, names)


def _columns(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group the sorted nodes into columns of the same main label.

    Returns:
      The main label of each column, i64[k]; the mean shares, f64[k, C]; the bounds of the columns, f64[k + 1].
    """
    held = counts[counts.any(axis=1)]
    shares = held / held.sum(axis=1, keepdims=True)
    # Ties are broken at random: if the first label always won, it would look more frequent than it is.
    most = held == held.max(axis=1, keepdims=True)
    main = (most * np.random.default_rng(0).random(held.shape)).argmax(axis=1)
    order = np.lexsort((-shares.max(axis=1), main))
    main, shares = main[order], shares[order]
    place = np.arange(main.size)
    run = place // -(-main.size // COLUMNS)
    first = np.flatnonzero((place == 0) | (np.diff(main, prepend=-1) != 0) | (np.diff(run, prepend=0) != 0))
    lengths = np.diff(first, append=main.size)
    return main[first], np.add.reduceat(shares, first) / lengths[:, None], np.append(first, main.size)


def _sizes(ax: Axes, sizes: np.ndarray) -> None:
    ax.fill_between(np.arange(sizes.size + 1), np.append(sizes, sizes[-1]), step="post", color="#9a9a9a", linewidth=0)
    ax.set(xlim=(0, sizes.size), ylim=(0, None), xlabel="all nodes, sorted by size", ylabel="examples")
    _grid(ax)


def _grid(ax: Axes) -> None:
    ax.set_axisbelow(True)  # the caller's axes may draw the grid above the data
    ax.grid(True, color=GRID, linewidth=0.8)


def _scale(ax: Axes, names: np.ndarray) -> None:
    """Add a colour bar of the classes, if there are too many for a legend."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, NoNorm

    colours = ScalarMappable(NoNorm(0, names.size - 1), ListedColormap(_colours(names.size)))
    bar = ax.figure.colorbar(colours, ax=ax, label="class", pad=0.02, fraction=0.03)
    bar.outline.set_visible(False)
    places, texts = _ticks(names)
    bar.set_ticks(places, labels=texts)


def _colours(many: int) -> Any:
    """The colours of the classes, f64[C, 4]."""
    from matplotlib import colormaps

    if many <= TABLE:
        return colormaps["tab10" if many <= 10 else "tab20"](np.arange(many))
    return colormaps["turbo"](np.linspace(0.05, 0.95, many))


def _ticks(names: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Positions and names of classes along an axis; if there are many, only some of them."""
    places = np.arange(0, names.size, -(-names.size // TABLE))
    return places, [str(name) for name in names[places]]
