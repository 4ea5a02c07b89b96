"""The label of a run, and the table that compares runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from jdl.engine.metrics import EVALUATED
from jdl.show import intervals, tables
from jdl.show.run_label import label

if TYPE_CHECKING:
    import rich.table

__all__ = ["Summarised", "label", "rows_of", "table", "with_ends"]

KIND = "t"  # of the intervals over seeds
SETTINGS = ("nodes", "rounds", "seconds", "compile_seconds", "delta", EVALUATED)  # numbers that all seeds share


class Summarised(Protocol):
    """Anything with a summary, such as a `jdl.Result`."""

    @property
    def summary(self) -> dict[str, Any]: ...


def table(results: Mapping[str, Summarised]) -> rich.table.Table:
    """The table of `rows_of` for a terminal.

    Args:
      results: the runs, on one problem, by label.
    """
    return tables.to_rich(rows_of(results))


def rows_of(results: Mapping[str, Summarised]) -> tables.Table:
    """A table with one row for each run: accuracies if the problem has them, losses otherwise.

    Where a run has an account of privacy, a column shows the largest epsilon that a part of it has spent.
    Where models of a run were evaluated on each node's own distribution, two columns show the mean and the worst node.
    Runs that have not finished are named below the table. Of a run with several seeds the numbers are means over seeds,
    with half the width of an interval, which the title names; seeds that have diverged count in neither.

    Args:
      results: the runs, on one problem, by label.

    Returns:
      The table, for `jdl.show.tables.to_latex` and the other formats.
    """
    rows = {name: result.summary for name, result in results.items()}
    columns = {
        "mean over nodes": ("mean_accuracy", "{:.1%}"),
        "worst node": ("worst_accuracy", "{:.1%}"),
        "mean model": ("mean_model_accuracy", "{:.1%}"),
    }
    if all(row["mean_accuracy"] is None for row in rows.values()):
        columns = {
            "mean over nodes": ("mean_loss", "{:.4g}"),
            "worst node": ("worst_loss", "{:.4g}"),
            "mean model": ("mean_model_loss", "{:.4g}"),
            "above the optimum": ("suboptimality", "{:.2g}"),
        }
        columns = {title: column for title, column in columns.items() if any(column[0] in row for row in rows.values())}
    what, metric = ("test accuracy", "accuracy") if "mean_accuracy" in dict(columns.values()) else ("loss", "loss")
    if any(row.get(f"own_{metric}") is not None for row in rows.values()):
        form = columns["mean over nodes"][1]
        columns |= {"own data": (f"own_{metric}", form), "worst own data": (f"worst_own_{metric}", form)}
    if any("epsilon" in row for row in rows.values()):
        deltas = sorted({row["delta"] for row in rows.values() if "delta" in row})
        columns |= {f"epsilon at delta {' or '.join(map('{:g}'.format, deltas))}": ("epsilon", "{:.3g}")}
    if any(row.get("simulated_seconds") is not None for row in rows.values()):
        columns |= {"simulated s": ("simulated_seconds", "{:,.4g}"), "idle": ("idle_share", "{:.0%}")}
    rounds = max(one["rounds"] for row in rows.values() for one in row.get("runs", (row,)))
    pairs = {(row.get(EVALUATED, row["nodes"]), row["nodes"]) for row in rows.values()}
    of = "".join(f", of a sample of {some:,} of {n:,} nodes" for some, n in sorted(pairs) if some < n)
    over = max(len(row.get("seeds", ())) for row in rows.values())
    of += f"; mean ± half the width of the {intervals.in_words(KIND, over)}" if over > 1 else ""
    cells = []
    for name, row in rows.items():
        values = [_cell(row, lambda one, key=key: one.get(key), form) for key, form in columns.values()]
        cells.append([tables.Cell(name), *values, _cell(row, _megabytes, "{:,.3g}")])
    title = f"{what}, after {rounds:,} rounds{of}"
    ended = {name: row.get("message") for name, row in rows.items() if row.get("status", "finished") != "finished"}
    notes = [f"{name}: {message}" for name, message in ended.items()]
    return tables.Table(title, ["", *columns, "sent, MB a node"], cells, notes)


def _cell(row: Mapping[str, Any], number: Callable[[Mapping[str, Any]], float | None], form: str) -> tables.Cell:
    """A number of a run; of several seeds the mean, and half the width of the interval if there is one."""
    if "runs" not in row:
        return tables.Cell(number(row), form=form)
    found = [number(one) for one in row["runs"] if one["status"] != "diverged"]
    found = [value for value in found if value is not None]
    if not found:
        return tables.Cell(None, form=form)
    mean, low, high = intervals.interval(np.array(found), KIND)
    spread = high - low > 0  # neither one seed, nor the same number for all
    return tables.Cell(float(mean), float((high - low) / 2) if spread else None, form)


def _megabytes(row: Mapping[str, Any]) -> float | None:
    sent = row.get("bits_sent")
    return None if sent is None else sent / 8e6 / row["nodes"]


def with_ends(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The summary of a run; of several seeds with `low` and `high`, the ends of an interval about each mean, by name.

    >>> runs = [{"mean_loss": 1.0, "status": "finished"}, {"mean_loss": 3.0, "status": "finished"}]
    >>> found = with_ends({"mean_loss": 2.0, "seeds": [0, 1], "runs": runs})
    >>> found["interval"], round(found["high"]["mean_loss"], 2)
    ('95% t-interval of the mean over 2 seeds', 14.71)
    """
    if "runs" not in summary:
        return dict(summary)
    ends: dict[str, dict[str, Any]] = {"low": {}, "high": {}}
    for name, mean in summary.items():
        values = [one.get(name) for one in summary["runs"]]
        numbers = [value for value in values if isinstance(value, int | float) and math.isfinite(value)]
        if isinstance(mean, int | float) and name not in SETTINGS:
            _, *both = intervals.interval(np.array(numbers), KIND)
            for kind, end in zip(ends, both, strict=True):
                ends[kind][name] = float(end) if np.isfinite(end) else None
    plain = {name: value for name, value in summary.items() if name != "runs"}
    return {**plain, "interval": intervals.in_words(KIND, len(summary["seeds"])), **ends, "runs": summary["runs"]}
