"""The two CSV files that hold the evaluations of a run: its numbers, and the numbers of every node."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jdl.engine.metrics import PER_NODE
from jdl.runs.history import SHARED, WHOLE, Row, lines_of, numbers, per_node

__all__ = ["append_csv", "append_nodes", "join_nodes", "read_csv", "read_nodes", "read_rows"]


def append_csv(path: Path, row: Row, seeds: Sequence[int] | None = None, axis: str = "seed") -> None:
    """Append the numbers of an evaluation to a CSV file, after a header if it is the first.

    Numbers are written with enough digits that `read_csv` returns the same bits.

    Args:
      path: the file.
      row: the columns of one evaluation. Those with a number for each node are left out; see `append_nodes`.
      seeds: the seeds, each of which gets a line; None for a single run.
      axis: the name of the column of seeds.
    """
    lines = lines_of(numbers(row), seeds, axis)
    names = list(lines[0])
    if path.exists() and path.stat().st_size:  # a file that an earlier version began may have fewer columns
        with path.open(newline="") as file:
            names = [name for name in next(csv.reader(file)) if name in lines[0]]
    _append(path, names, [[line[name] for name in names] for line in lines])


def append_nodes(path: Path, row: Row, seeds: Sequence[int] | None = None, axis: str = "seed") -> None:
    """Append the metrics of every node in an evaluation to a CSV file: a line for each node, with round and node.

    With seeds there is a line for each seed and node.

    Nothing is written if no metric has a number for each node.

    Args:
      path: the file.
      row: the columns of one evaluation.
      seeds: the seeds, or None.
      axis: the name of the column of seeds.
    """
    names = list(per_node(row))
    for line in lines_of(row, seeds, axis) if names else ():
        first = {name: line[name] for name in ("round", axis) if name in line}
        values = zip(*(np.asarray(line[PER_NODE + name]).tolist() for name in names), strict=True)
        lines = ((*first.values(), node, *numbers) for node, numbers in enumerate(values))
        _append(path, [*first, "node", *names], lines)


def _append(path: Path, header: Iterable[str], lines: Iterable[Iterable[Any]]) -> None:
    new = not path.exists() or path.stat().st_size == 0
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(header)
        writer.writerows([repr(value) for value in line] for line in lines)


def read_csv(path: Path) -> list[Row]:
    """Read the rows of a history up to the first row that a crash or a disk has damaged.

    Args:
      path: the file, which need not exist.

    Returns:
      The rows; none if there is no file.
    """
    text = path.read_bytes().decode(errors="replace") if path.exists() else ""
    header, *lines = text[: text.rfind("\n") + 1].replace("\0", "?").splitlines() or [""]
    names, rows = header.split(","), []
    for line in csv.reader(lines) if "round" in names else ():
        try:
            pairs = zip(names, line, strict=True)
            rows.append({name: int(value) if name in WHOLE else float(value) for name, value in pairs})
        except ValueError:
            break
    return rows


def read_rows(path: Path, seeds: Sequence[int] | None, axis: str = "seed") -> list[Row]:
    """Read the evaluations of a history, up to the first that is damaged or that lacks the line of a seed.

    Args:
      path: the file, which need not exist.
      seeds: the seeds, or None for a single run.
      axis: the name of the column of seeds.
    """
    lines, rows = read_csv(path), []
    if seeds is None:
        return lines
    for _, group in itertools.groupby(lines, key=lambda line: line["round"]):
        group = list(group)
        if [line.get(axis) for line in group] != list(seeds):
            break
        names = [name for name in group[0] if name != axis]
        own = lambda name, group=group: np.array([line[name] for line in group])
        rows.append({name: group[0][name] if name in SHARED else own(name) for name in names})
    return rows


def read_nodes(path: Path, n: int, seeds: Sequence[int] | None = None, axis: str = "seed") -> dict[int, Row]:
    """Read the metrics of every node, up to the first evaluation that a crash or a disk has damaged.

    Args:
      path: the file, which need not exist.
      n: the number of nodes.
      seeds: the seeds, or None.
      axis: the name of the column of seeds.

    Returns:
      For the round of each whole evaluation a dict of f64[n], or f64[S, n], whose names begin with "nodes/".
    """
    found: dict[int, Row] = {}
    shape, one = ((n,), (None,)) if seeds is None else ((len(seeds), n), tuple(seeds))
    wanted = [(seed, node) for seed in one for node in range(n)]
    for round_, lines in itertools.groupby(read_csv(path), key=lambda line: line["round"]):
        lines = list(lines)
        if [(line.get(axis), line.get("node")) for line in lines] != wanted:
            break
        names = [name for name in lines[0] if name not in ("round", axis, "node")]
        found[round_] = {PER_NODE + name: np.array([line[name] for line in lines]).reshape(shape) for name in names}
    return found


def join_nodes(rows: list[Row], nodes: dict[int, Row]) -> list[Row]:
    """Join the evaluations with the metrics of every node, up to the first evaluation that has none.

    Args:
      rows: the evaluations, from `read_csv`.
      nodes: the metrics of every node by round, from `read_nodes`.
    """
    whole = itertools.takewhile(lambda row: row["round"] in nodes, rows)
    return [row | nodes[row["round"]] for row in whole]
