"""`jdl runs`: the run directories below a folder, a line each. It starts without JAX."""

from __future__ import annotations

import json
import time

from jdl import checks
from jdl.command.fixed import Runs
from jdl.runs.listing import Line, runs_below
from jdl.show.tables import Cell, Table, to_text

__all__ = ["age", "list_runs", "size"]

AGES = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
UNITS = ("B", "kB", "MB", "GB", "TB")
COLUMNS = ("run", "label", "rounds", "status", "mean", "changed", "size")


def list_runs(given: Runs) -> int:
    """Print a line for each run."""
    found = runs_below(checks.path(given.dir))
    if given.json:
        print(json.dumps([line._asdict() for line in found]))
        return 0
    if not found:
        print(f"no runs in {given.dir}")
        return 0
    now = time.time()
    rows = [[Cell(text) for text in _texts(line, now)] for line in found]
    print(to_text(Table("", COLUMNS, rows)))
    return 0


def _texts(line: Line, now: float) -> list[str]:
    rounds = f"{line.rounds} of {'?' if line.asked is None else line.asked}"
    accuracy = line.metric == "mean_accuracy"
    value = "-" if line.value is None else f"{line.value:.1%}" if accuracy else f"loss {line.value:.4g}"
    name = line.label + f", {line.seeds} seeds" * (line.seeds > 1)
    return [line.path, name, rounds, line.status, value, f"{age(now - line.changed)} ago", size(line.size)]


def age(seconds: float) -> str:
    """A time in its largest unit.

    >>> age(7300), age(0.2), age(200000)
    ('2 h', '0 s', '2 d')
    """
    name, unit = next(((name, unit) for name, unit in AGES if seconds >= unit), AGES[-1])
    return f"{max(0, int(seconds // unit))} {name}"


def size(count: float) -> str:
    """A number of bytes in the unit that fits.

    >>> size(812), size(81_234), size(3_450_000)
    ('812 B', '81.2 kB', '3.45 MB')
    """
    for unit in UNITS:
        if count < 1000 or unit == UNITS[-1]:
            return f"{count:.0f} B" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    return ""
