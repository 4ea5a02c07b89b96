"""The run directories below a folder, a line each, read from their small files. Neither JAX nor NumPy is imported."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jdl import checks
from jdl.runs.lock import is_held
from jdl.runs.said import CONFIG, DONE, HISTORY, SUMMARY, SWEEP, ending_of, is_run, read_summary
from jdl.show.run_label import label

__all__ = ["Line", "runs_below"]

SHOWN = ("mean_accuracy", "mean_loss")  # the first of these that a run has
HEAD_BYTES, TAIL_BYTES = 2**14, 2**16
DAMAGED = "damaged"


class Line(NamedTuple):
    """A run directory, or that of a sweep, in one line.

    Attributes:
      path: the directory.
      label: the label of the run.
      seeds: the number of seeds.
      rounds: the number of rounds that are done; in a sweep by all of its runs.
      asked: the number of rounds that were asked for, or None if the directory does not say.
      status: that of the result; "running" while a run goes on there, "damaged" if its configuration cannot be read.
      metric: the name of `value`, or None before the first evaluation.
      value: the mean accuracy of the last evaluation, or the mean loss; of several seeds the mean.
      changed: when the run wrote last, in seconds since 1970.
      size: the size of all files in bytes.
    """

    path: str
    label: str
    seeds: int
    rounds: int
    asked: int | None
    status: str
    metric: str | None
    value: float | None
    changed: float
    size: int


def runs_below(folder: Path) -> list[Line]:
    """The runs in a folder and below it, in the order of their paths.

    Args:
      folder: where to look. A run directory is not looked into.

    Raises:
      InputError: if there is no such folder.
    """
    checks.require(folder.is_dir(), f"got {folder}, which is no directory, need one with runs; name it, or begin a run")
    return sorted(_lines(folder), key=lambda line: line.path)


def _lines(folder: Path) -> Iterator[Line]:
    for where, folders, files in os.walk(folder):
        path = Path(where)
        if SWEEP in files:
            folders.clear()
            yield _sweep(path)
            continue
        if CONFIG not in files:
            continue
        try:
            config = json.loads((path / CONFIG).read_text())
        except (ValueError, OSError):
            if HISTORY in files or SUMMARY in files:  # otherwise another program wrote it
                folders.clear()
                yield Line(str(path), path.name, 1, 0, None, DAMAGED, None, None, *_files(path))
            continue
        if is_run(config):
            folders.clear()
            yield _line(path, config)


def _line(path: Path, config: dict[str, Any]) -> Line:
    seeds = config["run"].get("seeds")
    count = len(seeds) if isinstance(seeds, list) else 1
    last = _last(path / HISTORY, count)
    ending = ending_of(path, config, read_summary(path), int(last["round"]) if last else None)
    metric = next((name for name in SHOWN if name in last), None)
    return Line(
        path=str(path),
        label=_label(path, config),
        seeds=count,
        rounds=ending.rounds,
        asked=config["run"].get("rounds"),
        status=ending.status,
        metric=metric,
        value=None if metric is None else last[metric],
        changed=max((path / name).stat().st_mtime for name in (CONFIG, HISTORY, SUMMARY) if (path / name).exists()),
        size=_files(path)[1],
    )


def _sweep(path: Path) -> Line:
    """A sweep, whose units have a directory each, with a marker when they are done."""
    changed, size = _files(path)
    try:
        content = json.loads((path / SWEEP).read_text())
        units, jobs, asked = len(content["units"]), len(content["jobs"]), content["first_rounds"]
    except (ValueError, KeyError, TypeError, OSError):
        return Line(str(path), "sweep", 1, 0, None, DAMAGED, None, None, changed, size)
    done = [rounds for rounds in map(_marked, path.glob(f"units/*/{DONE}")) if rounds]
    runs = any(map(is_held, path.glob("units/*.lock")))
    status = "running" if runs else "finished" if len(done) >= units else "interrupted"
    label = f"sweep of {jobs:,} runs, {len(done):,} of {units:,} units done"
    asked, least = max([asked, *done]), min(done, default=0) if len(done) >= units else 0
    return Line(str(path), label, 1, least, asked, status, None, None, changed, size)


def _marked(file: Path) -> int:
    """The rounds that a unit of a sweep was asked for and has done; 0 if it is not done."""
    try:
        return int(json.loads(file.read_text())["rounds"])
    except (ValueError, KeyError, TypeError, OSError):
        return 0


def _label(path: Path, config: dict[str, Any]) -> str:
    """The label of a run of the command line, otherwise the one that the directory keeps, or its name."""
    try:
        return label(config["command"])
    except (KeyError, TypeError):  # a run from Python, or a command of its own
        return str(config.get("label") or path.name)


def _last(file: Path, seeds: int) -> dict[str, float]:
    """The columns of the last whole evaluation in a history, of several seeds their means; empty if there is none."""
    try:
        with file.open("rb") as opened:
            head = opened.read(HEAD_BYTES)
            opened.seek(max(0, opened.seek(0, os.SEEK_END) - TAIL_BYTES))
            tail = opened.read()
    except OSError:
        return {}
    names = head.split(b"\n", 1)[0].decode(errors="replace").split(",")
    whole = tail[: tail.rfind(b"\n") + 1].decode(errors="replace").splitlines()
    rows = [row for row in (_numbers(names, line) for line in whole) if row]
    for end in range(len(rows), 0, -1):
        group = rows[max(0, end - seeds) : end]
        if len(group) == seeds and len({row["round"] for row in group}) == 1:
            return {name: _mean([row[name] for row in group]) for name in names}
    return {}


def _numbers(names: list[str], line: str) -> dict[str, float]:
    """A line as numbers by column; empty for the header, and for a line that is damaged."""
    texts = line.split(",")
    try:
        return dict(zip(names, map(float, texts), strict=True)) if "round" in names else {}
    except ValueError:
        return {}


def _mean(values: list[float]) -> float | None:
    finite = [value for value in values if math.isfinite(value)]
    return math.fsum(finite) / len(finite) if finite else None


def _files(path: Path) -> tuple[float, int]:
    """When files below a directory changed last, and the size of all of them."""
    changed, size = 0.0, 0
    pending = [path]
    while pending:
        try:
            for entry in os.scandir(pending.pop()):
                if entry.is_dir(follow_symlinks=False):
                    pending.append(Path(entry.path))
                else:
                    found = entry.stat(follow_symlinks=False)
                    changed, size = max(changed, found.st_mtime), size + found.st_size
        except OSError:  # a run that goes on has removed it
            continue
    return changed, size
