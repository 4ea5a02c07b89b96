"""The summary of a sweep as a table for readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jdl.show.intervals import in_words
from jdl.show.tables import Cell, Table

if TYPE_CHECKING:
    import pandas

__all__ = ["shortened", "table", "usual"]

# What tables show if nothing else is asked for: the first of these lists of which a sweep has anything.
USUAL = (
    ("mean_accuracy", "worst_accuracy", "mean_model_accuracy", "own_accuracy", "worst_own_accuracy"),
    ("mean_loss", "worst_loss", "mean_model_loss", "suboptimality"),
)
TIMED = ("simulated_seconds", "idle_share")  # shown beside them where there is a clock


def usual(metrics: Sequence[str]) -> list[str]:
    """The metrics that a table shows if the user names none.

    >>> usual(["mean_loss", "mean_accuracy", "consensus_distance"])
    ['mean_accuracy']
    """
    found = [[name for name in names if name in metrics] for names in USUAL]
    chosen = next((names for names in found if names), list(metrics))
    return [*chosen, *(name for name in TIMED if name in metrics and name not in chosen)]


def table(
    labels: Sequence[Mapping[str, Any]],
    axes: Sequence[str],
    rows: pandas.DataFrame,
    metrics: Sequence[str],
    kind: str,
    when: str,
) -> Table:
    """The summary as a table, whose title says what its intervals are, and whose notes name runs that diverged.

    Args:
      labels: the labels of each point.
      axes: the names of the axes.
      rows: the summary, see `SweepTable.summarize`.
      metrics: the metrics to show.
      kind: the kind of the intervals.
      when: the round, in words.
    """
    cells = []
    for point, one in enumerate(labels):
        numbers = [_cell(rows, point, name, kind) for name in metrics]
        cells.append([*(Cell(one.get(axis)) for axis in axes), *numbers])
    notes = [note for point, one in enumerate(labels) for note in _notes(one, rows.loc[point])]
    return Table(f"{_title(rows, kind)}, {when}", [*axes, *metrics], cells, notes)


def _cell(rows: pandas.DataFrame, point: int, name: str, kind: str) -> Cell:
    mean, low, high = (float(rows.at[point, name + ending]) for ending in ("", "_low", "_high"))
    spread = (low, high) if kind == "minmax" else (high - low) / 2
    one = rows.at[point, "seeds"] - rows.at[point, "diverged"] < 2  # a single seed has no spread
    return Cell(mean, None if one else spread, "{:.1%}" if "accuracy" in name else "{:.4g}")


def _title(rows: pandas.DataFrame, kind: str) -> str:
    low, high = (int(rows["seeds"].min()), int(rows["seeds"].max())) if len(rows) else (0, 0)
    if high < 2:
        return "one seed"
    words = in_words(kind, high if low == high else f"{low} to {high}")
    if kind == "minmax":
        return f"mean [{words}]"
    return f"mean {words}" if words.startswith("±") else f"mean ± half the {words}"


def _notes(labels: Mapping[str, Any], row: pandas.Series) -> list[str]:
    name = ", ".join(f"{axis}={label}" for axis, label in labels.items()) or "the run"
    seeds, diverged = int(row["seeds"]), int(row["diverged"])
    if diverged == 0:
        return []
    if diverged == seeds:
        return [f"{name}: {'diverged' if seeds == 1 else f'all {seeds} seeds diverged'}."]
    return [f"{name}: {diverged} of {seeds} seeds diverged; the mean is that of the others."]


def shortened(table: Table, rows: int) -> Table:
    """The first rows of a table, with a note of how many there are.

    >>> shortened(Table("", ["x"], [[Cell(1)]] * 5), 2).notes
    ['2 of 5 rows.']
    """
    if len(table.rows) <= rows:
        return table
    return table._replace(rows=table.rows[:rows], notes=[f"{rows:,} of {len(table.rows):,} rows.", *table.notes[:rows]])
