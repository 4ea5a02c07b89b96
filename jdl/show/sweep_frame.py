"""The frame of a sweep as pictures need it: its axes, its last rows, and one point for each mark."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jdl import checks
from jdl.show.columns import text_of, without_diverged

if TYPE_CHECKING:
    import pandas

__all__ = ["Sweep", "by_seed", "is_numeric", "read"]

KEYS = ("point", "seed", "round", "status")


@dataclasses.dataclass(frozen=True)
class Sweep:
    """A tidy frame with a row for each point, seed and evaluation.

    Attributes:
      frame: the rows, with columns `point`, `seed` and `round`, the axes, and metrics. The metrics of a seed that has
        diverged are NaN: one whose loss is not finite, or whose `status` is "diverged".
      axes: the axes of the sweep; a point has one value of each.
    """

    frame: pandas.DataFrame
    axes: tuple[str, ...]

    def column(self, name: str, argument: str) -> str:
        """A column by its name.

        Raises:
          InputError: if there is none; it names those there are.
        """
        found = [str(one) for one in self.frame.columns]
        checks.require(
            name in found, f"got {argument}={name!r}, which is no column of the sweep; there are {', '.join(found)}"
        )
        return name

    def metric(self, name: str, argument: str) -> str:
        """A column of numbers that is no axis and no key, by its name.

        Raises:
          InputError: if it is none; it names those there are.
        """
        self.column(name, argument)
        frame = self.frame.drop(columns=[*self.axes, "point", "seed", "round"])
        found = [one for one in frame if is_numeric(frame[one])]
        need = f"need a metric; use one of {', '.join(map(str, found))}"
        checks.require(name in found, f"got {argument}={name!r}, which is no metric of the sweep, {need}")
        return name

    def axis(self, name: str, argument: str) -> str:
        """An axis, or "seed", by its name.

        Raises:
          InputError: if there is none.
        """
        allowed = (*self.axes, "seed")
        checks.require(
            name in allowed, f"got {argument}={name!r}, which is no axis of the sweep; use one of {', '.join(allowed)}"
        )
        return name

    def one_point_each(self, marks: Sequence[str], ways: str) -> None:
        """Check that each mark of a picture is one point, so that nothing is averaged but seeds.

        Args:
          marks: the axes by which marks differ.
          ways: what the caller can do, as the end of the sentence.

        Raises:
          InputError: if several points would share a mark; it names the axes by which they differ.
        """
        points = self.frame[["point", *self.axes, *({"seed"} & set(marks))]].drop_duplicates()
        groups = points.groupby(list(marks), sort=False) if marks else [((), points)]
        crowded = [rows for _, rows in groups if len(rows) > 1]
        if not crowded:
            return
        apart = [name for name in self.axes if any(rows[name].nunique() > 1 for rows in crowded)]
        values = {name: ", ".join(map(text_of, points[name].unique()[:4])) for name in apart}
        said = " and ".join(f"{name!r} ({values[name]})" for name in apart) or "nothing but their number"
        raise checks.InputError(
            f"got several points for one mark, which differ in {said}; averages over them would say nothing: {ways}"
        )

    def last(self) -> pandas.DataFrame:
        """The last evaluation of each point and seed, where each point has a row for each of its seeds."""
        return self.frame.sort_values("round", kind="stable").groupby(["point", "seed"], sort=False).tail(1)


def read(frame: Any, axes: Sequence[str] | None = None) -> Sweep:
    """Read a tidy frame.

    Args:
      frame: a pandas frame with the columns `point` (by default a number for each combination of axes), the axes,
        `seed` (by default 0), `round`, and metrics.
      axes: the names of the axes; by default `frame.attrs["axes"]`, or the columns between "point" and "seed".

    Raises:
      InputError: if it is no frame, is empty, or lacks the rounds or an axis.
    """
    import pandas

    checks.require(
        isinstance(frame, pandas.DataFrame),
        f"got {type(frame).__name__}, need a pandas frame with a row for each point, seed and round; pass table.frame",
    )
    checks.require(len(frame) > 0, "got a sweep without rows, need one point at least; run the sweep first")
    names = [str(name) for name in frame.columns]
    checks.require("round" in names, f"got a frame without the column 'round'; there are {', '.join(names)}")
    axes = tuple(axes if axes is not None else frame.attrs.get("axes", _between(names)))
    missing = [name for name in axes if name not in names]
    checks.require(not missing, f"got axes {missing}, which are no columns; there are {', '.join(names)}")
    frame = frame.copy()
    for name in axes:
        if not is_numeric(frame[name]) or frame[name].isna().any():
            frame[name] = frame[name].map(text_of)
    if "seed" not in names:
        frame["seed"] = 0
    if "point" not in names:
        frame["point"] = frame.groupby(list(axes), sort=False).ngroup() if axes else 0
    if "status" in names:
        metrics = [name for name in frame.select_dtypes("number") if name not in (*KEYS, *axes)]
        frame[metrics] = frame[metrics].astype(float).where(frame["status"] != "diverged")
    metrics = {name: frame[name].to_numpy() for name in frame.columns if name not in (*KEYS, *axes)}
    return Sweep(frame.assign(**without_diverged(metrics)), axes)


def _between(names: list[str]) -> list[str]:
    end = names.index("seed") if "seed" in names else names.index("round")
    return [name for name in names[:end] if name not in KEYS]


def is_numeric(column: pandas.Series) -> bool:
    """Whether a column holds numbers, which have an order and distances."""
    import pandas

    return pandas.api.types.is_numeric_dtype(column) and not pandas.api.types.is_bool_dtype(column)


def by_seed(rows: pandas.DataFrame, index: str, value: str) -> tuple[np.ndarray, np.ndarray]:
    """The values of a column as f[E, S], with the E places of the index in increasing order."""
    table = rows.drop_duplicates([index, "seed"], keep="last").set_index([index, "seed"])[value].unstack("seed")
    table = table.sort_index()
    return table.index.to_numpy(), table.to_numpy(float)
