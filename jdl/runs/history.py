"""The evaluations of a run, in columns, and the two CSV files that hold them."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jdl.engine.metrics import EVALUATED, PER_NODE

if TYPE_CHECKING:
    import pandas

__all__ = ["History", "append_csv", "append_nodes", "join_nodes", "per_node", "read_csv", "read_nodes"]

Row = dict[str, Any]

WHOLE = ("round", "node", EVALUATED)  # the columns of whole numbers in files


class History:
    """The evaluations of a run, one array for each column.

    A column is an attribute or an item: `history.mean_accuracy[-1]`, `history["round"]`. `history.frame` is a data
    frame. Metrics that have a number for each node are in `history.nodes`, arrays f[E, n] of E evaluations by name.

    Args:
      rows: the evaluations in the order of rounds, each a dict of the same columns. A name that begins with "nodes/"
        holds f[n], a number for each node.

    >>> history = History([{"round": 0, "mean_loss": 2.3}, {"round": 10, "mean_loss": 0.5}])
    >>> history
    History(2 evaluations, rounds 0 to 10: round, mean_loss)
    >>> history.mean_loss
    array([2.3, 0.5])
    >>> History([{"round": 0, "nodes/drift": np.zeros(3)}]).nodes["drift"].shape
    (1, 3)
    """

    def __init__(self, rows: list[Row]):
        self.rows = [_numbers(row) for row in rows]
        self.columns = {name: np.array([row[name] for row in rows]) for name in (self.rows[0] if rows else ())}
        names = per_node(rows[0]) if rows else {}
        self.nodes = {name: np.stack([np.asarray(row[PER_NODE + name], float) for row in rows]) for name in names}

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def __getattr__(self, name: str) -> np.ndarray:
        columns = self.__dict__.get("columns", {})
        if name in columns:
            return columns[name]
        raise AttributeError(f"no column {name!r}; there are {', '.join(columns) or 'none yet'}")

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def __len__(self) -> int:
        return len(self.rows)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.columns]

    def __repr__(self) -> str:
        if not self.rows:
            return "History(no evaluations)"
        span = f"rounds {self.rows[0]['round']} to {self.rows[-1]['round']}"
        return f"History({len(self)} evaluations, {span}: {', '.join(self.columns)})"

    @property
    def frame(self) -> pandas.DataFrame:
        """The evaluations as a pandas data frame."""
        import pandas

        return pandas.DataFrame(self.columns)


def per_node(row: Row) -> dict[str, np.ndarray]:
    """The metrics f[n] of an evaluation that have a number for each node, by name."""
    return {name.removeprefix(PER_NODE): value for name, value in row.items() if name.startswith(PER_NODE)}


def _numbers(row: Row) -> Row:
    return {name: value for name, value in row.items() if not name.startswith(PER_NODE)}


def append_csv(path: Path, row: Row) -> None:
    """Append the numbers of an evaluation to a CSV file, after a header if it is the first.

    Numbers are written with enough digits that `read_csv` returns the same bits.

    Args:
      path: the file.
      row: the columns of one evaluation. Those with a number for each node are left out; see `append_nodes`.
    """
    row = _numbers(row)
    _append(path, row, [row.values()])


def append_nodes(path: Path, row: Row) -> None:
    """Append the metrics of every node in an evaluation to a CSV file: a line for each node, with round and node.

    Nothing is written if no metric has a number for each node.

    Args:
      path: the file.
      row: the columns of one evaluation.
    """
    metrics = per_node(row)
    if metrics:
        values = zip(*(np.asarray(one).tolist() for one in metrics.values()), strict=True)
        lines = ((row["round"], node, *numbers) for node, numbers in enumerate(values))
        _append(path, ["round", "node", *metrics], lines)


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


def read_nodes(path: Path, n: int) -> dict[int, Row]:
    """Read the metrics of every node, up to the first evaluation that a crash or a disk has damaged.

    Args:
      path: the file, which need not exist.
      n: the number of nodes.

    Returns:
      For the round of each whole evaluation a dict of f64[n], whose names begin with "nodes/".
    """
    found: dict[int, Row] = {}
    for round_, lines in itertools.groupby(read_csv(path), key=lambda line: line["round"]):
        lines = list(lines)
        if [line.get("node") for line in lines] != list(range(n)):
            break
        names = [name for name in lines[0] if name not in ("round", "node")]
        found[round_] = {PER_NODE + name: np.array([line[name] for line in lines]) for name in names}
    return found


def join_nodes(rows: list[Row], nodes: dict[int, Row]) -> list[Row]:
    """Join the evaluations with the metrics of every node, up to the first evaluation that has none.

    Args:
      rows: the evaluations, from `read_csv`.
      nodes: the metrics of every node by round, from `read_nodes`.
    """
    whole = itertools.takewhile(lambda row: row["round"] in nodes, rows)
    return [row | nodes[row["round"]] for row in whole]
