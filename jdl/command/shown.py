"""`jdl show`: the numbers of several runs in one table, and their curves in one figure."""

from __future__ import annotations

import collections
import json
import sys
from typing import Any

import rich.console

from jdl import checks
from jdl.command.fixed import Show
from jdl.command.load import load
from jdl.runs import export
from jdl.runs.said import read_config
from jdl.show import report, tables
from jdl.show.compare import compare
from jdl.show.run_label import label

__all__ = ["show"]

USUAL = "compared.png"


def show(given: Show) -> int:
    """Print the table and draw the figure; with `--json`, print the summaries, and draw only if `--out` is given."""
    paths = [checks.path(one) for one in given.dirs]
    checks.require(bool(paths), "got no directory, need those of runs; try `jdl runs`, which lists them")
    loaded = [load(path) for path in paths]
    names = [_label(path, one) for path, one in zip(paths, loaded, strict=True)]
    count = collections.Counter(names)
    names = [f"{name} [{path}]" if count[name] > 1 else name for name, path in zip(names, paths, strict=True)]
    if given.json:
        print(json.dumps([{"label": n, **report.with_ends(one.summary)} for n, one in zip(names, loaded, strict=True)]))
    results = {name: one for name, one in zip(names, loaded, strict=True) if len(one.history)}
    for name in names:
        if name not in results:
            print(f"jdl: {name}: no evaluation yet", file=sys.stderr)
    if not results:
        return 0
    console = rich.console.Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    if not given.json:
        table = report.rows_of(results)
        if given.format == "text":
            console.print(tables.to_rich(table))
        else:
            print(export.formatted(table, given.format))
    out = given.out or (None if given.json else USUAL)
    if out is not None:
        compare(results, x=given.x, y=list(given.y) or None, band=given.band, path=checks.path(out))
        print(f"drawn in {out}", file=sys.stderr if given.json or given.format != "text" else sys.stdout)
    return 0


def _label(path: Any, result: Any) -> str:
    command = read_config(path).get("command")
    try:
        return label(command)
    except (KeyError, TypeError):  # a run from Python, or a command of its own
        return result.name
