"""What `jdl sweep` prints and writes: the summary of a table, and a figure of it."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich.console

from jdl import checks
from jdl.show import intervals, tables
from jdl.show.style import DASHES
from jdl.sweeps.dry import DryRun
from jdl.sweeps.status import SweepStatus
from jdl.sweeps.table import SweepTable
from jdl.sweeps.written import shortened

__all__ = ["dry", "figure", "looks", "status", "table"]

KIND = "t"  # of the intervals over seeds
ROWS = 60  # of the table in a terminal
FACETS = 12  # panels in a figure
HUES = 8  # lines of different colours in a panel
# What the figure shows, and how points are ranked: the first of these that a sweep has.
RANKED = ("mean_accuracy", "suboptimality", "mean_loss")


def dry(found: DryRun, out: Path, as_json: bool) -> None:
    """Print what a sweep would do."""
    names = ("points", "runs", "done", "units", "programs", "memory_bytes", "disk_bytes")
    values = {name: getattr(found, name) for name in names}
    print(json.dumps(values | {"run_dir": str(out)}) if as_json else f"{found}\nin {out}")


def status(found: SweepStatus, load: Callable[[], SweepTable], as_json: bool) -> None:
    """Print how far a sweep is, and the table of what is done."""
    if as_json:
        counts = {name: sum(map(len, units)) for name, units in found._asdict().items()}
        print(json.dumps(counts | _as_json(load())))
        return
    print(found)
    if found.done or found.running or found.begun:
        _print(load())


def table(found: SweepTable, out: Path, as_json: bool) -> None:
    """Write the summary and the figure into the directory of a sweep, and print the summary."""
    if len(found.frame):
        (out / "summary.csv").write_text(found.to_csv(metrics=_metrics(found), interval=KIND))
        (out / "summary.md").write_text(found.to_markdown(interval=KIND) + "\n")
        said = figure(found, out / "curves.png")
    if as_json:
        print(json.dumps(_as_json(found) | {"run_dir": str(out)}))
        return
    _print(found)
    if len(found.frame):
        print(f"kept in {out}: curves.png{said}, summary.csv, summary.md, and the runs in units")


def _print(found: SweepTable) -> None:
    console = rich.console.Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    if len(found.frame):
        shown = shortened(found.table(interval=KIND), ROWS)
        console.print(tables.to_rich(shown))
        best = _best(found)
        if best is not None and len(found) > 1:
            console.print(best, style="bold", markup=False)
    counts = Counter(found.status.values())
    console.print(", ".join(f"{count:,} runs {name}" for name, count in counts.items()), markup=False)


def _metrics(found: SweepTable) -> list[str]:
    """All metrics but the time, which runs side by side share."""
    return [name for name in found.metrics if name != "seconds"]


def _ranked(found: SweepTable) -> str:
    return next((name for name in RANKED if name in found.metrics), found.metrics[0])


def _best(found: SweepTable) -> str | None:
    """A sentence on the best point; None if there is none, as all have diverged or are not done."""
    by = _ranked(found)
    try:
        best = found.best(by)
    except checks.InputError:
        return None
    return f"best {by}: {', '.join(f'{axis}={label}' for axis, label in best.labels.items())}"


def _as_json(found: SweepTable) -> dict[str, Any]:
    rows, points = found.summarize(interval=KIND) if len(found.frame) else None, []
    several = len(found.seeds) > 1
    for number, labels in enumerate(found.labels):
        seeds = {str(seed): found.status[number, seed] for seed in found.seeds if (number, seed) in found.status}
        ends = {"": {}, "_low": {}, "_high": {}}
        for name in _metrics(found) if rows is not None else ():
            for end, values in ends.items():
                values[name] = _number(rows.at[number, name + end])
        interval = {"low": ends["_low"], "high": ends["_high"]} if several else {}
        points.append({"labels": labels, **ends[""], **interval, "status": seeds})
    best = None
    if rows is not None:
        with contextlib.suppress(checks.InputError):  # all points have diverged
            best = found.best(_ranked(found)).point
    words = intervals.in_words(KIND, len(found.seeds)) if several else None
    return {"axes": found.axes, "seeds": found.seeds, "interval": words, "points": points, "best": best}


def _number(value: Any) -> float | None:
    value = float(value)
    return value if math.isfinite(value) else None


def looks(values: dict[str, int]) -> dict[str, str]:
    """Which axis has colours, panels and dashes.

    Topologies have colours, otherwise the first axis with few values; the next axes have panels and dashes, as far as
    they have few values. Axes that remain are in no part of the figure.

    Args:
      values: the number of values of each axis.

    Returns:
      The name of an axis by the argument of `SweepTable.plot`.

    >>> looks({"lr": 3, "topology": 4, "degree": 20})
    {'hue': 'topology', 'facet': 'lr'}
    """
    left = dict(sorted(values.items(), key=lambda pair: pair[0] != "topology"))  # a stable sort
    found = {}
    for look, most in (("hue", HUES), ("facet", FACETS), ("style", len(DASHES))):
        axis = next((name for name, count in left.items() if count <= most), None)
        if axis is not None:
            found[look] = axis
            left.pop(axis)
    return found


def figure(found: SweepTable, path: Path) -> str:
    """Draw the curves of a sweep.

    Where several points would be one line, since neither colours nor panels nor dashes show the axes by which they
    differ, the line is that of the best of them.

    Args:
      found: the table.
      path: the file.

    Returns:
      The axes of which each line has the best, in words, or nothing.
    """
    from jdl.show import sweep_plots

    y, counts = _ranked(found), {axis: found.points[axis].nunique(dropna=False) for axis in found.axes}
    chosen = looks(counts)
    left = [axis for axis in found.axes if axis not in chosen.values() and counts[axis] > 1]
    frame = found.frame
    if left:
        frame = frame[frame["point"].isin(_best_of_each(found, y, list(chosen.values())))]
    kind = KIND if len(found.seeds) > 1 else "none"
    shown = {look: chosen.get(look) for look in ("hue", "style", "facet")}
    sweep_plots.lines(frame, "round", y, **shown, band=kind, path=path, axes=found.axes)
    return f" (each line with the best {' and '.join(left)})" if left else ""


def _best_of_each(found: SweepTable, y: str, axes: list[str]) -> list[int]:
    """The best point of those with the same labels on some axes; those of which seeds have diverged come last."""
    rows = found.summarize([y]).reset_index(drop=True)
    order = rows.sort_values(["diverged", y], ascending=[True, "accuracy" not in y], kind="stable", na_position="last")
    return sorted(order.drop_duplicates(axes).index) if axes else [order.index[0]]
