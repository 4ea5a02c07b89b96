"""Metrics of every node: their distribution over nodes by round or by group, and against what nodes differ in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jdl import checks
from jdl.show import columns, legends, style
from jdl.show.axes import accuracy_limits
from jdl.show.style import COLOURS, INK

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["nodes", "scatter_by", "violins"]

MOST = 12  # rounds, of which the distribution is drawn
FEW = 20  # nodes; of fewer, there are boxes in place of violins
DISTINCT = 12  # values, of more of which nodes are put together for means
BINS = 8
WIDE = 30  # times the smallest value; values beyond are on a logarithmic axis
DESCRIBE = ("round", "node", "degree", "honest", "group", "num_examples", "seed")
DOTS = {"s": 14, "alpha": 0.45, "linewidths": 0}
WRONG = COLOURS[1]  # the colour of dishonest nodes


def nodes(
    frame: pandas.DataFrame,
    metric: str | None = None,
    by: str | None = None,
    path: str | Path | None = None,
    *,
    at: int | str = "last",
) -> Figure:
    """Draw a metric of every node: its distribution over rounds, or against what nodes differ in.

    Args:
      frame: a row for each evaluation and node, from `result.nodes`.
      metric: one of its metrics; by default "accuracy", else the first.
      by: None for the distribution at each evaluation; "group" for that in each group; "degree", "num_examples" or
        another column for a dot for each node, with means.
      path: the file to write, if any; its ending gives the format.
      at: the round of the evaluation that is drawn, or "last"; if `by` is None, the last one of those that are drawn.

    Returns:
      The figure, which a notebook displays.

    Raises:
      InputError: if there is no such column or evaluation, or if the frame is of several seeds.
    """
    draw = violins if by in (None, "group") else scatter_by
    return draw(frame, metric, by=by, at=at, path=path)


def violins(
    frame: pandas.DataFrame,
    metric: str | None = None,
    at: int | str = "last",
    by: str | None = None,
    path: str | Path | None = None,
) -> Figure:
    """Draw the distribution of a metric over the honest nodes: violins, or boxes if there are fewer than 20 nodes.

    Args:
      frame: a row for each evaluation and node.
      metric: one of its metrics; by default "accuracy", else the first.
      at: the round of the evaluation, or "last"; without `by`, up to 12 evaluations until then are drawn.
      by: a column with few values, such as "group", each of which has a violin; None for a violin each evaluation.
      path: the file to write, if any.

    Returns:
      The figure.

    Raises:
      InputError: if there is no such column or evaluation.
    """
    frame, metric, last = _read(frame, metric, by, at)
    if by is None:
        rounds = np.sort(frame["round"].unique())
        rounds = rounds[rounds <= last]
        chosen = rounds[np.unique(np.linspace(0, rounds.size - 1, MOST).round().astype(int))]
        key, values, label = "round", [*chosen], "rounds"
    else:
        frame = frame[frame["round"] == last]
        key, values, label = by, sorted(frame[by].unique()), f"{columns.title(by)}, after {last:,} rounds"
    good = frame[_honest(frame)]
    groups = [_finite(good[good[key] == value][metric]) for value in values]
    few = min(group.size for group in groups) < FEW
    with style.picture((max(5.0, min(9.0, 2.4 + 0.75 * len(values))), 4.4), path) as figure:
        axes = figure.subplots()
        _fit(axes, metric, np.concatenate(groups))
        for place, group in enumerate(groups):
            (_box if few else _violin)(axes, place, group)
        axes.set_xticks(range(len(values)), [columns.text_of(value) for value in values])
        axes.set(xlim=(-0.6, len(values) - 0.4), xlabel=label, ylabel=_title(metric))
        axes.grid(axis="x", visible=False)
        what = "middle half of the nodes, and each node" if few else "all nodes; the bar is the middle half"
        legends.below(figure, [_patch(what), *_notes(frame, shown=False)])
    return figure


def _violin(axes: Axes, place: int, values: np.ndarray) -> None:
    if values.size == 0 or np.ptp(values) <= 1e-9 * np.abs(values).max():  # a density has no width
        _box(axes, place, values)
        return
    log = axes.get_yscale() == "log"
    parts = axes.violinplot(np.log10(values) if log else values, [place], widths=0.8, showextrema=False)
    for body in parts["bodies"]:
        body.set(facecolor=COLOURS[0], alpha=0.35, linewidth=0)
        if log:  # the density of the logarithms, drawn where the values are
            for outline in body.get_paths():
                outline.vertices[:, 1] = 10 ** outline.vertices[:, 1]
    axes.vlines(place, *np.quantile(values, (0.25, 0.75)), color=COLOURS[0], linewidth=5)
    _median(axes, place, values)


def _box(axes: Axes, place: int, values: np.ndarray) -> None:
    if values.size == 0:
        return
    box = axes.boxplot(values, positions=[place], widths=0.5, showfliers=False, patch_artist=True)
    for part in [line for lines in box.values() for line in lines]:
        part.set(color=COLOURS[0], linewidth=1.2)
    box["boxes"][0].set(facecolor="#cfe3f1")
    axes.scatter(place + 0.3 * _jitter(values.size), values, color=COLOURS[0], zorder=3, clip_on=False, **DOTS)
    _median(axes, place, values)


def _median(axes: Axes, place: int, values: np.ndarray) -> None:
    look = {"color": "white", "markeredgecolor": COLOURS[0], "markersize": 6, "zorder": 4, "clip_on": False}
    axes.plot(place, np.median(values), "o", **look)


def scatter_by(
    frame: pandas.DataFrame,
    metric: str | None = None,
    by: str = "degree",
    at: int | str = "last",
    path: str | Path | None = None,
) -> Figure:
    """Draw a dot for each node: a metric against what nodes differ in, with the mean and the standard deviation.

    Where `by` has more than 12 values, means are taken over eight bins of equally many nodes. Dots of nodes with equal
    values are moved a little to the side, always in the same way.

    Args:
      frame: a row for each evaluation and node.
      metric: one of its metrics; by default "accuracy", else the first.
      by: a column of numbers, such as "degree" or "num_examples", or another metric.
      at: the round of the evaluation, or "last".
      path: the file to write, if any.

    Returns:
      The figure.

    Raises:
      InputError: if there is no such column or evaluation.
    """
    frame, metric, last = _read(frame, metric, by, at)
    frame = frame[(frame["round"] == last) & np.isfinite(frame[metric]) & np.isfinite(frame[by].astype(float))]
    checks.require(len(frame) > 0, f"got no finite value of {metric!r} at round {last}; take an earlier one with at=")
    honest = _honest(frame).to_numpy()
    x, y = frame[by].to_numpy(float), frame[metric].to_numpy(float)
    distinct = np.unique(x)
    few = distinct.size <= DISTINCT
    step = np.diff(distinct).min() if few and distinct.size > 1 else 0.0 if distinct.size > 1 else 1.0
    moved = x + 0.22 * step * _jitter(x.size)
    with style.picture((6.4, 4.4), path) as figure:
        axes = figure.subplots()
        axes.scatter(moved[honest], y[honest], color=COLOURS[0], **DOTS)
        if not honest.all():
            axes.scatter(moved[~honest], y[~honest], facecolors="none", edgecolors=WRONG, s=18)
        if honest.any():
            at_x, mean, deviation = _means(x[honest], y[honest], few)
            axes.errorbar(at_x, mean, deviation, color=INK, fmt="o-", linewidth=1.4, markersize=5, capsize=3, zorder=4)
        axes.set(xlabel=f"{columns.title(by)}\nafter {last:,} rounds", ylabel=_title(metric))
        if few:
            whole = all(float(value).is_integer() for value in distinct)
            axes.set_xticks(distinct, [f"{value:.0f}" if whole else f"{value:.4g}" for value in distinct])
            axes.set_xlim(distinct[0] - 0.6 * (step or 1), distinct[-1] + 0.6 * (step or 1))
        if distinct[0] > 0 and distinct[-1] > WIDE * distinct[0]:
            axes.set_xscale("log")
            axes.set_xlim(distinct[0] / 1.2, distinct[-1] * 1.2)
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        _fit(axes, metric, frame[metric])
        bins = "" if few else f" of {BINS} bins of nodes"
        legends.below(figure, [_mean_handle(f"mean ± standard deviation{bins}"), *_notes(frame, shown=True)])
    return figure


def _means(x: np.ndarray, y: np.ndarray, few: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where, the mean, and the standard deviation of each value of x, or of bins of equally many nodes."""
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    parts = np.split(np.arange(x.size), np.flatnonzero(np.diff(x)) + 1) if few else np.array_split(
        np.arange(x.size), min(BINS, x.size)
    )  # fmt: skip
    return tuple(np.array([take(v[part]) for part in parts]) for take, v in ((np.mean, x), (np.mean, y), (np.std, y)))


def _read(frame: Any, metric: str | None, by: str | None, at: int | str) -> tuple[pandas.DataFrame, str, int]:
    """Check a frame of nodes; choose the metric and the round."""
    import pandas

    checks.require(
        isinstance(frame, pandas.DataFrame) and {"round", "node"} <= set(frame.columns),
        f"got {type(frame).__name__} without the columns round and node, need the frame result.nodes",
    )
    metrics = [str(name) for name in frame.columns if name not in DESCRIBE]
    checks.require(bool(metrics), "got a frame without a metric of every node; run with per_node=True")
    checks.require(len(frame) > 0, "got a frame without rows, need one evaluation at least; run a round first")
    metric = metric or ("accuracy" if "accuracy" in metrics else metrics[0])
    checks.require(metric in metrics, f"got metric {metric!r}, which nodes do not have; there are {', '.join(metrics)}")
    checks.require(
        "seed" not in frame or frame["seed"].nunique() == 1,
        "got nodes of several seeds, need those of one; take the result of a seed, or frame[frame.seed == 0]",
    )
    others = [str(name) for name in frame.columns if name not in ("round", "node", metric)]
    checks.require(by is None or by in others, f"got by={by!r}, which nodes do not have; there are {', '.join(others)}")
    rounds = np.sort(frame["round"].unique())
    last = int(rounds[-1]) if isinstance(at, str) and at == "last" else at
    checks.require(
        last in rounds,
        f"got at={at!r}, need a round of an evaluation or 'last'; there are {', '.join(map(str, rounds[:12]))}"
        + ", ..." * (rounds.size > 12),
    )
    return frame, metric, last


def _honest(frame: pandas.DataFrame) -> Any:
    import pandas

    return frame["honest"].astype(bool) if "honest" in frame else pandas.Series(True, frame.index)


def _finite(values: Any) -> np.ndarray:
    values = np.asarray(values, float)
    return values[np.isfinite(values)]


def _jitter(many: int) -> np.ndarray:
    """Numbers between -1 and 1, always the same ones, which do not cluster: multiples of the golden ratio."""
    return 2 * ((np.arange(1, many + 1) * 0.6180339887498949) % 1) - 1


def _title(metric: str) -> str:
    return f"{columns.title(metric)} of a node" if columns.is_accuracy(metric) else columns.title(metric)


def _fit(axes: Axes, metric: str, values: Any) -> None:
    """Fit the y-axis: logarithmic for positive values over more than two decades."""
    values = _finite(values)
    if values.size == 0:
        return
    low, high = values.min(), values.max()
    if columns.is_accuracy(metric) and low >= 0 and high <= 1:
        axes.dataLim.intervaly = (low, high)
        accuracy_limits(axes)
    elif low > 0 and high > 100 * low:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.5, high * 1.5)
    elif high > low:
        room = 0.08 * (high - low)
        axes.set_ylim(0 if 0 <= low < room else low - room, high + room)


def _patch(label: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(color=COLOURS[0], alpha=0.35, linewidth=0, label=label)


def _mean_handle(label: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=INK, marker="o", markersize=5, linewidth=1.4, label=label)


def _notes(frame: pandas.DataFrame, shown: bool) -> list[Any]:
    """The entries of a legend about the median, and about dishonest nodes, if there are any."""
    from matplotlib.lines import Line2D

    found = []
    if not shown:
        found.append(
            Line2D([], [], linestyle="none", marker="o", color="white", markeredgecolor=COLOURS[0], label="median")
        )
    honest = _honest(frame).groupby(frame["node"]).min()
    if not honest.all():
        text = f"{(~honest).sum():,} dishonest nodes" if shown else f"{honest.sum():,} honest of {honest.size:,} nodes"
        mark = {"marker": "o", "color": "none", "markeredgecolor": WRONG} if shown else {"color": "none"}
        found.append(Line2D([], [], linestyle="none", label=text, **mark))
    return found
