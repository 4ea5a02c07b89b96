"""The evaluations of a run, in columns, and the CSV file that holds them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas

__all__ = ["History", "append_csv", "read_csv"]

Row = dict[str, Any]


class History:
    """The evaluations of a run, one array for each column.

    A column is an attribute or an item: `history.mean_accuracy[-1]`, `history["round"]`. `history.frame` is a data
    frame.

    Args:
      rows: the evaluations in the order of rounds, each a dict of the same columns.

    >>> history = History([{"round": 0, "mean_loss": 2.3}, {"round": 10, "mean_loss": 0.5}])
    >>> history
    History(2 evaluations, rounds 0 to 10: round, mean_loss)
    >>> history.mean_loss
    array([2.3, 0.5])
    """

    def __init__(self, rows: list[Row]):
        self.rows = rows
        self.columns = {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else ())}

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


def append_csv(path: Path, row: Row) -> None:
    """Append a row to a CSV file, after a header if it is the first row.

    Numbers are written with enough digits that `read_csv` returns the same bits.

    Args:
      path: the file.
      row: the columns of one evaluation.
    """
    new = not path.exists() or path.stat().st_size == 0
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(row)
        writer.writerow(repr(value) for value in row.values())


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
            rows.append({name: int(value) if name == "round" else float(value) for name, value in pairs})
        except ValueError:
            break
    return rows
