"""Learning curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from jdl import checks
from jdl.engine.metrics import EVALUATED
from jdl.show import columns, intervals, over_seeds, style, theory_lines
from jdl.show.axes import accuracy_limits, label_at_ends, log_ticks
from jdl.show.style import COLOURS, INK
from jdl.theory import Prediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Columns", "curves"]

STYLE = style.STYLE_OF_CURVES
OWN, MEAN, BAND = "mean over nodes, own data", "mean over ", "worst to best "


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
    theory: Prediction | None = None,
    x: str = "rounds",
) -> Figure:
    """Draw the learning curves of one or several runs, and the distance between their models.

    The left panel shows the test accuracy; if there is none, the loss above the optimum; if the optimum is unknown, the
    loss. A solid line is the mean over nodes, the band reaches from the worst node to the best, and the dashed line is
    the mean model; the legend says so where models of a sample of the nodes were evaluated. Where models were evaluated
    on each node's own distribution, a dotted line is the mean over nodes of that. The right panel shows the consensus
    distance, or the loss if all nodes share one model.

    Of a run with several seeds, lines are means over seeds, and the band is a 95 % interval of the mean over seeds in
    place of worst to best; lines end where the first seed has diverged.

    Args:
      histories: the evaluations of each run by its label, a `History` or a dict of arrays.
      path: the file to write, if any.
      references: the evaluations of runs to compare with, by label; the last one of each is drawn as a level line.
      nodes: the number of nodes; if given for a single run, a second axis shows the megabytes that each node has sent.
      theory: what theory predicts of a single run, see `jdl.theory.predict`. A dotted line is the prediction, its band
        holds the mean over seeds with a probability of 95 %, and the legend has the factors by which the measured and
        the predicted loss shrink in a round.
      x: what is along the axes: "rounds", "megabytes" (sent by a node), "simulated_seconds", "joules", or any column.

    Returns:
      The figure, which a notebook displays.

    >>> t = np.array([1, 2])
    >>> losses = {"mean_model_loss": 1 / t, "mean_loss": 2 / t}
    >>> figure = curves({"dpsgd": {"round": t, **losses, "consensus_distance": 0.0 * t}})
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['loss', 'loss']
    """
    seeds = {name: over_seeds.seeds_of(history) for name, history in histories.items()}
    histories = {name: over_seeds.averaged(history) for name, history in histories.items()}
    references = {name: over_seeds.averaged(history) for name, history in (references or {}).items()}
    in_rounds = x in ("round", "rounds")
    if not in_rounds:
        do = "leave one of the two out"
        checks.require(theory is None, f"got theory with x={x!r}, need rounds, of which theory speaks; {do}")
        histories = {name: columns.laid_along(name, history, x, nodes) for name, history in histories.items()}
    with style.picture((11, 4.4), path) as figure:
        figure.get_layout_engine().set(wspace=0.06)
        left, right = figure.subplots(1, 2, width_ratios=(3, 2), sharex=True)
        last = max(history["round"][-1] for history in histories.values())
        left.set(xlim=(0, max(1, last) if in_rounds else last or 1), xlabel=columns.title("round" if in_rounds else x))
        right.set_xlabel(left.get_xlabel())
        _learning(left, histories, references, nodes, seeds, theory)
        _apart(right, histories)
        if theory is not None and right.get_yscale() == "log":
            theory_lines.lay(right, theory, "consensus_distance")
        if nodes and len(histories) == 1 and in_rounds:
            _sent(left, *histories.values(), nodes)
    return figure


def _learning(
    axes: Axes,
    histories: Mapping[str, Columns],
    references: Mapping[str, Columns],
    nodes: int | None,
    seeds: Mapping[str, int],
    theory: Prediction | None,
) -> None:
    everything = [*histories.values(), *references.values()]
    metric, ylabel, form = "loss", "loss", "{:.3g}"
    if all("mean_accuracy" in history for history in everything):
        metric, ylabel, form = "accuracy", "test accuracy", "{:.1%}"
    elif all("suboptimality" in history for history in everything):
        ylabel = "loss above the optimum"
        axes.set_yscale("log")
    axes.set_ylabel(ylabel)
    labels = []
    for colour, (name, history) in zip(_colours(histories), histories.items(), strict=True):
        rounds, mean = history["round"], _values(history, f"mean_{metric}", axes)
        worst, best = (_values(history, f"{what}_{metric}", axes) for what in ("worst", "best"))
        over, band = _names(history, nodes, seeds[name])
        axes.fill_between(rounds, worst, best, color=colour, alpha=0.15, linewidth=0, label=band)
        axes.plot(rounds, mean, color=colour, linewidth=2.2, label=over)
        of_mean = _values(history, f"mean_model_{metric}", axes)
        axes.plot(rounds, of_mean, color=colour, linewidth=1.4, dashes=(4, 2), label="mean model")
        labels.append((mean, name, colour))
        if f"own_{metric}" in history and axes.get_yscale() != "log":  # the optimum of each node is not known
            own = _values(history, f"own_{metric}", axes)
            axes.plot(rounds, own, color=colour, linewidth=2.2, linestyle=":", label=OWN)
            labels.append((own, f"{name}, own data", colour))
    for name, history in references.items():
        level = _values(history, f"mean_{metric}", axes)[-1:]
        axes.axhline(level[0], color=INK, linewidth=1.2, linestyle=(0, (1, 2)))
        labels.append((level, name, INK))
    if theory is not None and metric == "loss":
        (history,) = histories.values()
        above = 0.0
        if axes.get_yscale() == "log":
            above = theory.columns["mean_model_loss"] - theory.columns["suboptimality"]
        theory_lines.lay(axes, theory, "mean_loss", theory_lines.caption(history, theory, "mean_loss"), above)
    apart = any(np.any(history[f"mean_{metric}"] != history[f"mean_model_{metric}"]) for history in histories.values())
    if apart or theory is not None or max(seeds.values()) > 1 or OWN in axes.get_legend_handles_labels()[1]:
        _legend(axes)
    if metric == "accuracy":
        accuracy_limits(axes)
    log_ticks(axes)
    label_at_ends(axes, labels, form)


def _names(history: Columns, nodes: int | None, seeds: int = 1) -> tuple[str, str]:
    """The names of the mean and of the band, which say of how many nodes they are if not of all, and of how many seeds.

    >>> _names({}, 8)
    ('mean over nodes', 'worst to best node')
    >>> _names({"eval_nodes": np.array([256, 256, 4096])}, None)
    ('mean over 256 of 4,096 nodes, all at the end', 'worst to best of 256 nodes')
    >>> _names({}, 8, 5)
    ('mean over nodes and 5 seeds', '95% bootstrap interval of the mean over 5 seeds')
    """
    if seeds > 1:
        over, _ = _names(history, nodes)
        return f"{over} and {seeds} seeds", intervals.in_words(over_seeds.KIND, seeds)
    if EVALUATED not in history:
        return f"{MEAN}nodes", f"{BAND}node"
    some, last = int(np.min(history[EVALUATED])), int(history[EVALUATED][-1])
    n, end = (last, ", all at the end") if last > some else (nodes, "")
    return f"{MEAN}{some:,} {f'of {n:,} ' if n else ''}nodes{end}", f"{BAND}of {some:,} nodes"


def _values(history: Columns, name: str, axes: Axes) -> np.ndarray:
    """A column of the history, or the mean over nodes if it lacks that column; minus the optimum on a log axis."""
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
    log_ticks(axes)
    if len(histories) > 1:
        label_at_ends(axes, labels, "{:.2g}")


def _colours(histories: Mapping[str, Columns]) -> list[str]:
    return [COLOURS[number % len(COLOURS)] for number in range(len(histories))]


def _legend(axes: Axes) -> None:
    """Explain the lines and the band of the first run below the axes, and those of runs that evaluate other nodes."""
    handles, names = axes.get_legend_handles_labels()
    means = [name for name in names if name.startswith(MEAN) and name != OWN]
    bands = [name for name in names if name not in (*means, OWN, "mean model") and not name.startswith("_")]
    explained = dict.fromkeys([*means, OWN, "mean model", *bands])
    order = [names.index(name) for name in explained if name in names]
    axes.figure.legend(
        [handles[i] for i in order],
        [names[i] for i in order],
        loc="outside lower left",
        ncols=2 if any("\n" in name for name in explained) else len(order),
        frameon=False,
        fontsize=9.5,
    )


def _sent(axes: Axes, history: Columns, nodes: int) -> None:
    """Add an axis of the megabytes that a node has sent, if it sends the same amount in every round."""
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
