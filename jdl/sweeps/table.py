"""The results of a sweep as one table."""

from __future__ import annotations

import collections
import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jdl import checks
from jdl.engine.metrics import PER_NODE
from jdl.show import tables
from jdl.sweeps import summary, written
from jdl.sweeps.arrays import dataset

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas
    import xarray

__all__ = ["Best", "SweepTable"]

KEYS = ("point", "seed", "round")
SHOWN = 40  # rows of a table in a terminal or a notebook


class Best(NamedTuple):
    """The best point of a sweep.

    Args:
      point: its number.
      labels: its label on each axis.
      row: its row of the summary.
      arguments: its arguments of `jdl.run`, if the table holds them.
    """

    point: int
    labels: dict[str, Any]
    row: pandas.Series
    arguments: dict[str, Any] | None

    def __repr__(self) -> str:
        labels = ", ".join(f"{axis}={label}" for axis, label in self.labels.items())
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in self.row.items() if name not in self.labels)
        return f"point {self.point} ({labels}): {numbers}"


class SweepTable:
    """The results of a sweep: plain data, without models or states.

    Args:
      labels: for each point its label on each axis that it has.
      rows: the evaluations, each a dict with the keys `point` (a number from 0), `seed`, `round` and the metrics; or a
        data frame of these columns. Metrics with a number for each node are left out.
      status: the status of each run by point and seed: that of its result, "running", or "missing" if it was not begun.
      arguments: the arguments of `jdl.run` of each point, if they are to be kept.

    Attributes:
      frame: the evaluations as a pandas data frame: `point`, a column for each axis, `seed`, `round`, and a column for
        each metric. An axis whose name is that of another column has the column `NAME_axis`.
      points: a row for each point: a column for each axis, and `status_SEED` for each seed.
      axes: the names of the columns of the axes.
      metrics: the names of the columns of the metrics.
      seeds: the seeds, in increasing order.

    >>> rows = [{"point": p, "seed": s, "round": 9, "mean_loss": p + s / 10} for p in (0, 1) for s in (0, 1)]
    >>> status = {(p, s): "finished" for p in (0, 1) for s in (0, 1)}
    >>> table = SweepTable([{"lr": 0.1}, {"lr": 0.3}], rows, status)
    >>> table.best("mean_loss").labels
    {'lr': 0.1}
    >>> table.summarize(interval="minmax")[["lr", "mean_loss", "mean_loss_low", "mean_loss_high"]].values.tolist()
    [[0.1, 0.05, 0.0, 0.1], [0.3, 1.05, 1.0, 1.1]]
    """

    def __init__(
        self,
        labels: Sequence[Mapping[str, Any]],
        rows: Iterable[Mapping[str, Any]] | pandas.DataFrame,
        status: Mapping[tuple[int, int], str],
        arguments: Sequence[Mapping[str, Any]] | None = None,
    ):
        import pandas

        given = pandas.DataFrame(rows if isinstance(rows, pandas.DataFrame) else list(rows))
        given = given if len(given) else pandas.DataFrame(columns=list(KEYS))
        numbers = given.select_dtypes("number")
        self.metrics = [name for name in numbers if name not in KEYS and not name.startswith(PER_NODE)]
        taken = {*given, *KEYS}
        names = {name: f"{name}_axis" if name in taken else name for one in labels for name in one}
        self.labels = [{names[name]: _named(label) for name, label in one.items()} for one in labels]
        self.axes = list(names.values())
        self.arguments = None if arguments is None else [dict(one) for one in arguments]
        self.status = dict(status)
        self.seeds = sorted({seed for _, seed in status} | set(given["seed"]))
        axes = pandas.DataFrame(self.labels, columns=self.axes, index=range(len(self.labels)))
        keys = ["point", *self.axes, "seed", "round"]
        self.frame = given.join(axes, on="point")[[*keys, *self.metrics]]
        self.frame = self.frame.sort_values(list(KEYS), kind="stable", ignore_index=True)
        columns = {
            f"status_{seed}": [self.status.get((point, seed), "missing") for point in axes.index] for seed in self.seeds
        }
        self.points = axes.assign(**columns).rename_axis("point")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def complete(self) -> bool:
        """Whether all runs have ended by themselves; False after an interruption, of which the table holds a part."""
        return bool(self.points.filter(like="status_").isin(["finished", "reached", "diverged"]).all(axis=None))

    @functools.cached_property
    def summary(self) -> pandas.DataFrame:
        """The last round of each point: the mean of each metric over seeds with its 95 % interval by Student's t."""
        return self.summarize()

    def summarize(
        self, metrics: Sequence[str] | None = None, at: int | str | None = None, interval: str = "t"
    ) -> pandas.DataFrame:
        """The mean of metrics over the seeds of each point, and an interval about it.

        Runs that diverged are counted, and the mean is that of the others.

        Args:
          metrics: the names of the metrics; by default all. "round" is the round of the row, which with `until` is
            that in which a run reached its goal.
          at: the round at which points are compared, at their last evaluation up to it; by default the last of each.
          interval: "minmax", "std", "bootstrap" or "t", see `jdl.show.intervals.interval`.

        Returns:
          A row for each point: the axes, `seeds` (the number of runs), `diverged` (how many of them have), and for each
          metric NAME the columns NAME, NAME_low and NAME_high. They are NaN for a point that ended before the round.

        Raises:
          InputError: if there is no such metric or interval.
        """
        values = self._values(metrics, at)
        runs = collections.Counter(point for point, _ in self.status)
        seeds = [runs[point] for point in range(len(self))]
        out = self.points[self.axes].assign(seeds=seeds, diverged=self._diverged(values))
        return out.assign(**summary.means(values, interval))

    def _values(self, metrics: Sequence[str] | None, at: int | str | None) -> dict[str, np.ndarray]:
        chosen = summary.at_round(self.frame, self.status, summary.round_of(at))
        metrics = self.metrics if metrics is None else self._known(metrics)
        return {name: summary.over_seeds(chosen, name, len(self), self.seeds) for name in metrics}

    def _diverged(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        counts = [summary.diverged(one, self.status, self.seeds) for one in values.values()]
        return np.max([np.zeros(len(self), int), *counts], axis=0)

    def _known(self, names: Sequence[str]) -> list[str]:
        names = [names] if isinstance(names, str) else list(names)
        return [checks.known("metric of the sweep", name, [*self.metrics, "round"]) for name in names]

    def best(self, by: str, at: int | str | None = "last", largest: bool | None = None) -> Best:
        """The point with the best mean of a metric over seeds. A point of which a run diverged is never the best.

        Args:
          by: the metric.
          at: the round at which points are compared; by default the last of each.
          largest: whether the largest is the best; by default only if the name contains "accuracy".

        Raises:
          InputError: if there is no such metric, or no point all of whose runs have a value.
        """
        (by,) = self._known(by)
        (values,) = self._values([by], at).values()
        there = np.array([[(point, seed) in self.status for seed in self.seeds] for point in range(len(self))], bool)
        usable = (np.isfinite(values) | ~there.reshape(values.shape)).all(axis=-1) & np.isfinite(values).any(axis=-1)
        need = "need a point all of whose runs have one; try smaller rates, or another round"
        checks.require(bool(usable.any()), f"got by={by!r}, of which no point has a finite value for each seed, {need}")
        rows = self.summarize([by], at)
        largest = "accuracy" in by if largest is None else largest
        means = np.where(usable, rows[by].to_numpy(float), -np.inf if largest else np.inf)
        point = int(np.argmax(means) if largest else np.argmin(means))
        arguments = None if self.arguments is None else self.arguments[point]
        return Best(point, self.labels[point], rows.loc[point], arguments)

    def table(
        self,
        metrics: Sequence[str] | None = None,
        at: int | str | None = None,
        interval: str = "t",
        names: Mapping[str, str] | None = None,
    ) -> tables.Table:
        """The summary as a table for `jdl.show.tables`.

        Args:
          metrics: the names of the metrics; by default accuracies if there are any, losses otherwise.
          at: see `summarize`.
          interval: see `summarize`.
          names: the titles of columns, by the name of an axis or a metric; others stay.

        Raises:
          InputError: if there is no such metric, interval or column.
        """
        metrics = written.usual(self.metrics) if metrics is None else self._known(metrics)
        rows = self.summarize(metrics, at, interval)
        made = written.table(self.labels, self.axes, rows, metrics, interval, self._when(at))
        for name in names or ():
            checks.known("column of the table in names", name, made.columns)
        return made._replace(columns=[(names or {}).get(name, name) for name in made.columns])

    def _when(self, at: int | str | None) -> str:
        at = summary.round_of(at)
        ends = self.frame.groupby("point")["round"].max()
        if at is None and ends.nunique() > 1:
            return "at the last round of each point"
        return f"after {int(ends.max()) if at is None else at:,} rounds" if len(ends) else "without evaluations"

    def to_text(self, *args: Any, **options: Any) -> str:
        """The summary as plain text; arguments as for `table`."""
        return tables.to_text(self.table(*args, **options))

    def to_markdown(self, *args: Any, **options: Any) -> str:
        """The summary in Markdown; arguments as for `table`."""
        return tables.to_markdown(self.table(*args, **options))

    def to_latex(self, *args: Any, caption: str | None = None, label: str | None = None, **options: Any) -> str:
        """The summary in LaTeX, for `booktabs`; other arguments as for `table`.

        Args:
          args: those of `table`.
          caption: in LaTeX; by default it says what the numbers are.
          label: the name for references, such as "tab:graphs".
          options: those of `table`.
        """
        return tables.to_latex(self.table(*args, **options), caption, label)

    def to_csv(self, *args: Any, **options: Any) -> str:
        """The summary as CSV; arguments as for `table`. All evaluations are `table.frame.to_csv()`."""
        return tables.to_csv(self.table(*args, **options))

    def __repr__(self) -> str:
        return tables.to_text(written.shortened(self.table(), SHOWN))

    def _repr_html_(self) -> str:
        return tables.to_html(written.shortened(self.table(), SHOWN))

    def to_xarray(self) -> xarray.Dataset:
        """All evaluations as an `xarray.Dataset` (the extra `export`): a dimension for each axis, seed and round.

        Where the sweep has no run, it holds NaN.

        Raises:
          InputError: if xarray is not installed, or if the grid of all labels does not fit the memory.
        """
        return dataset(self.frame, self.axes, self.metrics)

    def plot(
        self,
        x: str = "round",
        y: str | None = None,
        hue: str | None = None,
        style: str | None = None,
        facet: str | None = None,
        band: str = "bootstrap",
        path: str | Path | None = None,
        theory: bool = False,
    ) -> matplotlib.figure.Figure:
        """Draw a metric against rounds, another metric, or an axis: the mean over seeds, and a band.

        Args:
          x: the column on the horizontal axis.
          y: the metric on the vertical axis; by default the mean accuracy, or the mean loss where there is none.
          hue: the axis whose labels have a colour each.
          style: the axis whose labels have a kind of dashes each.
          facet: the axis whose labels have a panel each.
          band: the interval about the mean: "minmax", "std", "bootstrap" or "t"; "none" draws none.
          path: the file to write, if any; its ending gives the format.
          theory: whether to lay over the lines what `jdl.theory.predict` predicts of each point.

        Returns:
          The figure, which a notebook displays.

        Raises:
          InputError: if there is no such column or band, or if an axis that varies is not shown. And if theory has no
            exact prediction for a point.
        """
        from jdl.show import sweep_plots
        from jdl.sweeps.predicted import predicted

        x, y, hue, style, facet = map(self._column, (x, y, hue, style, facet))
        rows = predicted(self.frame, self.labels, self.arguments, self.metrics) if theory else None
        return sweep_plots.lines(self.frame, x, y, hue, style, facet, band, path, theory=rows)

    def heatmap(self, x: str, y: str, value: str, path: str | Path | None = None) -> matplotlib.figure.Figure:
        """Draw the mean of a metric at the last round over two axes.

        Args:
          x: the axis of the columns.
          y: the axis of the rows.
          value: the metric.
          path: the file to write, if any; its ending gives the format.

        Returns:
          The figure, which a notebook displays.

        Raises:
          InputError: if there is no such column, or if another axis varies.
        """
        from jdl.show import sweep_plots

        return sweep_plots.heatmap(self.frame, *map(self._column, (x, y, value)), path)

    def _column(self, name: str | None) -> str | None:
        return None if name is None else checks.known("column of the sweep", name, self.frame.columns)


def _named(label: Any) -> Any:
    """A label in a data frame, in which None would mean that a point does not have the axis."""
    return "none" if label is None else label
