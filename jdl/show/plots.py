"""Learning curves."""

from __future__ import annotations

import functools
import io
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from jdl.show import style
from jdl.show.style import COLOURS, GRID, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Columns", "curves"]

STYLE = style.STYLE | {
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "ytick.minor.size": 0,
}


class Columns(Protocol):
    """Evaluations by the name of a column: a `History`, or a dict of arrays."""

    def __getitem__(self, name: str) -> np.ndarray: ...

    def __contains__(self, name: str) -> bool: ...


def curves(
    histories: Mapping[str, Columns],
    path: str | Path | None = None,
    *,
    references: Mapping[str, Columns] | None = None,
    nodes: int | None = None,
) -> Figure:
    """How learning went, left, and how far the models are apart, right.

    Left: test accuracy; without one, the loss above the optimum; without that, the loss. Line: mean over nodes; band:
    from the worst node to the best; dashes: the mean model. Right: consensus distance; the loss where all nodes share
    one model.

    Args:
      histories: label -> evaluations, a `History` or a dict of arrays.
      path: where to write the picture, if anywhere.
      references: label -> evaluations, of which the last is drawn as a level to compare with.
      nodes: how many; with it, a second axis says what each has sent.

    >>> t = np.array([1, 2])
    >>> losses = {"mean_model_loss": 1 / t, "mean_loss": 2 / t}
    >>> figure = curves({"dpsgd": {"round": t, **losses, "consensus_distance": 0.0 * t}})
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['loss', 'loss']
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 4.4), layout="constrained")
        FigureCanvasAgg(figure)
        figure.get_layout_engine().set(wspace=0.06)
        left, right = figure.subplots(1, 2, width_ratios=(3, 2), sharex=True)
        last = max(history["round"][-1] for history in histories.values())
        left.set(xlim=(0, max(1, last)), xlabel="rounds")
        right.set_xlabel("rounds")
        _learning(left, histories, references or {})
        _apart(right, histories)
        if nodes and len(histories) == 1:
            _sent(left, *histories.values(), nodes)
        if path is not None:
            style.save(figure, path, dpi=160)
    # A notebook shows a figure by itself only once pyplot was imported there, and jdl leaves pyplot alone.
    figure._repr_png_ = functools.partial(_png, figure)
    return figure


def _learning(axes: Axes, histories: Mapping[str, Columns], references: Mapping[str, Columns]) -> None:
    everything = [*histories.values(), *references.values()]
    metric, ylabel, form = "loss", "loss", "{:.3g}"
    if all("mean_accuracy" in history for history in everything):
        metric, ylabel, form = "accuracy", "test accuracy", "{:.1%}"
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    elif all("suboptimality" in history for history in everything):
        ylabel = "loss above the optimum"
        axes.set_yscale("log")
    axes.set_ylabel(ylabel)
    labels = []
    for colour, (name, history) in zip(_colours(histories), histories.items(), strict=True):
        rounds, mean = history["round"], _values(history, f"mean_{metric}", axes)
        worst, best = (_values(history, f"{what}_{metric}", axes) for what in ("worst", "best"))
        axes.fill_between(rounds, worst, best, color=colour, alpha=0.15, linewidth=0, label="worst to best node")
        axes.plot(rounds, mean, color=colour, linewidth=2.2, label="mean over nodes")
        of_mean = _values(history, f"mean_model_{metric}", axes)
        axes.plot(rounds, of_mean, color=colour, linewidth=1.4, dashes=(4, 2), label="mean model")
        labels.append((mean, name, colour))
    for name, history in references.items():
        level = _values(history, f"mean_{metric}", axes)[-1:]
        axes.axhline(level[0], color=INK, linewidth=1.2, linestyle=(0, (1, 2)))
        labels.append((level, name, INK))
    if any(np.any(history[f"mean_{metric}"] != history[f"mean_model_{metric}"]) for history in histories.values()):
        _legend(axes)
    if metric == "accuracy":
        _accuracy_limits(axes)
    _log_ticks(axes)
    _label(axes, labels, form)


def _values(history: Columns, name: str, axes: Axes) -> np.ndarray:
    """A column, or that of the mean over nodes where it is not kept; above the optimum, on a log axis."""
    values = history[name if name in history else f"mean_{name.rpartition('_')[2]}"]
    if axes.get_yscale() == "log":
        return _positive(values - (history["mean_model_loss"] - history["suboptimality"]))
    return np.where(np.isfinite(values), values, np.nan)


def _positive(values: np.ndarray) -> np.ndarray:
    return np.where((values > 0) & np.isfinite(values), values, np.nan)


def _apart(axes: Axes, histories: Mapping[str, Columns]) -> None:
    one_model = not any(np.any(history["consensus_distance"] > 0) for history in histories.values())
    if one_model:
        name = "mean_model_loss"
        axes.set_ylabel("test loss" if all("mean_accuracy" in history for history in histories.values()) else "loss")
    else:
        name = "consensus_distance"
        axes.set_ylabel(r"consensus distance,  $\frac{1}{n}\,\sum_i\,\Vert x_i - \bar{x} \Vert^2$")
        axes.set_yscale("log")
    labels = []
    for colour, (label, history) in zip(_colours(histories), histories.items(), strict=True):
        values = history[name] if one_model else _positive(history[name])
        axes.plot(history["round"], values, color=colour, linewidth=2.2)
        labels.append((values, label, colour))
    _log_ticks(axes)
    if len(histories) > 1:
        _label(axes, labels, "{:.2g}")


def _colours(histories: Mapping[str, Columns]) -> list[str]:
    return [COLOURS[number % len(COLOURS)] for number in range(len(histories))]


def _legend(axes: Axes) -> None:
    """What line, dashes and band mean, told by those of the first run, below the axes, where no curve is."""
    handles, names = axes.get_legend_handles_labels()
    order = [names.index(name) for name in ("mean over nodes", "mean model", "worst to best node")]
    axes.figure.legend(
        [handles[i] for i in order],
        [names[i] for i in order],
        loc="outside lower left",
        ncols=len(order),
        frameon=False,
        fontsize=9.5,
    )


def _accuracy_limits(axes: Axes) -> None:
    """The tenths that hold all that is drawn, a fifth at least; of 0 and 1 no more than there is."""
    low, high = axes.dataLim.intervaly
    if not (np.isfinite(low) and np.isfinite(high)):
        low, high = 0.0, 1.0
    bottom, top = np.floor(10 * low) / 10, np.ceil(10 * high) / 10
    axes.set_ylim(max(0.0, min(bottom, top - 0.2)), min(1.0, max(top, bottom + 0.2)))


def _log_ticks(axes: Axes) -> None:
    """Within two decades, ticks at 1, 2, 5 times powers of ten, as plain numbers, and limits at two of them."""
    low, high = axes.dataLim.intervaly
    if axes.get_yscale() != "log" or not 0 < low <= high < np.inf or high > 100 * low:
        return
    exponents = np.arange(np.floor(np.log10(low)) - 1, np.ceil(np.log10(high)) + 2)
    marks = np.sort(np.outer(10.0**exponents, (1, 2, 5)).ravel())
    marks = marks[np.searchsorted(marks, low, "right") - 1 : np.searchsorted(marks, high, "left") + 1]
    if len(marks) < 2:  # a level line at one of them
        return
    axes.set_ylim(marks[0], marks[-1])
    axes.set_yticks(marks, [f"{mark:g}" for mark in marks])
    axes.set_yticks([], minor=True)


def _label(axes: Axes, labels: list[tuple[np.ndarray, str, str]], form: str) -> None:
    """Names and last values beside the ends of lines, pushed apart where lines end close together."""
    axes.get_ylim()  # limits are settled lazily
    to_axes = axes.transScale + axes.transLimits
    ends = [(values[np.isfinite(values)][-1:], name, colour) for values, name, colour in labels]
    ends = sorted(((end[0], name, colour) for end, name, colour in ends if end.size), key=lambda end: end[0])
    texts = [textwrap.fill(f"{name} {form.format(end)}", 22) for end, name, _ in ends]
    heights = np.array([to_axes.transform((0, end))[1] for end, *_ in ends])
    halves = np.array([0.036 * (1 + text.count("\n")) for text in texts])  # of the axes, at this height and font
    for _ in range(100):
        overlap = np.maximum(0, halves[1:] + halves[:-1] - np.diff(heights)) / 2
        heights[1:] += overlap
        heights[:-1] -= overlap
        heights = np.maximum(heights, halves)
    for height, text, (_, _, colour) in zip(heights, texts, ends, strict=True):
        axes.text(1.015, height, text, color=colour, transform=axes.transAxes, va="center", linespacing=1.05)


def _sent(axes: Axes, history: Columns, nodes: int) -> None:
    """A second axis in MB, where traffic is the same in every round."""
    rounds, sent = history["round"], history["bits_sent"] / 8e6 / nodes if "bits_sent" in history else np.zeros(1)
    if sent[-1] <= 0:
        return
    each = sent[-1] / rounds[-1]
    if np.allclose(sent, each * rounds, rtol=0.02, atol=0.02 * sent[-1]):
        unit, factor = ("MB", 1) if sent[-1] > 1 else ("kB", 1000)
        above = axes.secondary_xaxis("top", functions=(lambda x: x * each * factor, lambda x: x / each / factor))
        above.set_xlabel(f"sent, {unit} a node")
        above.tick_params(length=0)
        above.spines["top"].set_visible(False)


def _png(figure: Figure) -> bytes:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()
