"""The evaluations of a run, or of one run for each of several seeds, in columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jdl.engine.metrics import EVALUATED, PER_NODE

if TYPE_CHECKING:
    import pandas

__all__ = ["SHARED", "WHOLE", "History", "Row", "lines_of", "numbers", "per_node"]

Row = dict[str, Any]

WHOLE = ("round", "seed", "job", "node", EVALUATED)  # the columns of whole numbers in files
SHARED = ("round", "seconds", EVALUATED)  # the columns that have one number for all seeds


class History:
    """The evaluations of a run, one array for each column.

    A column is an attribute or an item: `history.mean_accuracy[-1]`, `history["round"]`. `history.frame` is a data
    frame. Metrics that have a number for each node are in `history.nodes`, arrays f[E, n] of E evaluations by name.

    The history of several seeds has an axis of seeds: columns are f[E, S], and those of nodes f[E, S, n]. `round`,
    `seconds` and `eval_nodes`, which are the same for all seeds, stay [E]. After a run has diverged, its columns are
    NaN.

    Args:
      rows: the evaluations in the order of rounds, each a dict of the same columns. A name that begins with "nodes/"
        holds f[n], a number for each node. With seeds, values are arrays with a first axis of seeds.
      seeds: the seeds of the second axis; None for a single run.

    >>> history = History([{"round": 0, "mean_loss": 2.3}, {"round": 10, "mean_loss": 0.5}])
    >>> history
    History(2 evaluations, rounds 0 to 10: round, mean_loss)
    >>> history.mean_loss
    array([2.3, 0.5])
    >>> History([{"round": 0, "nodes/drift": np.zeros(3)}]).nodes["drift"].shape
    (1, 3)
    >>> History([{"round": 0, "mean_loss": np.array([2.3, 2.4])}], seeds=(0, 1)).of(1).mean_loss
    array([2.4])
    """

    def __init__(self, rows: list[Row], seeds: Sequence[int] | None = None):
        self.seeds = None if seeds is None else tuple(seeds)
        self._whole = rows
        self.rows = [numbers(row) for row in rows]
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
        of = "" if self.seeds is None else f" of {len(self.seeds)} seeds"
        return f"History({len(self)} evaluations{of}, {span}: {', '.join(self.columns)})"

    @property
    def frame(self) -> pandas.DataFrame:
        """The evaluations as a pandas data frame; with seeds, a row for each evaluation and seed."""
        import pandas

        if self.seeds is None:
            return pandas.DataFrame(self.columns)
        return pandas.DataFrame([line for row in self.rows for line in lines_of(row, self.seeds)])

    def of(self, seed: int) -> History:
        """The history of one seed, up to its divergence.

        Args:
          seed: one of `seeds`.

        Raises:
          KeyError: if there is no such seed.
        """
        if self.seeds is None or seed not in self.seeds:
            raise KeyError(f"no seed {seed!r}; there are {self.seeds or 'none'}")
        place = self.seeds.index(seed)
        rows = [_of_seed(row, place) for row in self._whole]
        return History([row for row in rows if not _is_blank(row)])


def per_node(row: Row) -> dict[str, np.ndarray]:
    """The metrics f[n] of an evaluation that have a number for each node, by name."""
    return {name.removeprefix(PER_NODE): value for name, value in row.items() if name.startswith(PER_NODE)}


def numbers(row: Row) -> Row:
    """The columns of an evaluation without those that have a number for each node."""
    return {name: value for name, value in row.items() if not name.startswith(PER_NODE)}


def lines_of(row: Row, seeds: Sequence[int] | None, axis: str = "seed") -> list[Row]:
    """An evaluation as the lines of a file: one, or one for each seed, with a column `seed` (or of another name)."""
    if seeds is None:
        return [row]
    return [{"round": row["round"], axis: seed} | _of_seed(row, place) for place, seed in enumerate(seeds)]


def _of_seed(row: Row, place: int) -> Row:
    """The columns of the seed at this place."""
    return {name: value if name in SHARED else _item(value[place]) for name, value in row.items()}


def _is_blank(row: Row) -> bool:
    """Whether a row of a seed is one after the run of this seed has diverged."""
    own = [value for name, value in row.items() if name not in SHARED]
    return bool(own) and all(np.all(np.isnan(value)) for value in own)


def _item(value: Any) -> Any:
    return value.item() if np.ndim(value) == 0 else value
