"""The progress of a sweep: one bar over all its runs."""

from __future__ import annotations

from collections.abc import Iterable

from jdl.runs.history import Row
from jdl.runs.progress import Bar
from jdl.sweeps.units import Unit

__all__ = ["OfUnit", "Progress"]


class Progress:
    """Counts the runs that are done, those of the unit in work in part.

    Args:
      bar: what is shown, a bar whose unit is a run.
      units: the number of units.
    """

    def __init__(self, bar: Bar, units: int):
        self.bar, self.units, self.runs = bar, units, 0
        self.done: set[str] = set()

    def show(self, part: float, row: Row | None) -> None:
        """Show that `part` runs of the unit in work are done."""
        self.bar.update(self.runs + part, row, f"{len(self.done)} of {self.units} units")

    def before(self, units: Iterable[Unit]) -> None:
        """These units were done before: they say nothing about the time that is left."""
        for unit in units:
            self.done.add(unit.name)
            self.runs += len(unit.jobs)
        self.bar.start(self.runs)
        self.show(0.0, None)

    def finish(self, unit: Unit) -> None:
        """A unit is done."""
        if unit.name not in self.done:
            self.done.add(unit.name)
            self.runs += len(unit.jobs)
            self.show(0.0, None)


class OfUnit:
    """What a driver tells of one unit, see `jdl.runs.progress.Bar`.

    Args:
      progress: that of the sweep.
      runs: the number of runs in the unit.
      rounds: the number of rounds of each.
    """

    def __init__(self, progress: Progress, runs: int, rounds: int):
        self.progress, self.runs, self.rounds, self.first = progress, runs, rounds, 0

    def start(self, t: int) -> None:
        """The unit goes on at round `t`."""
        self.first = t

    def update(self, t: int, row: Row | None) -> None:
        """Round `t` is done."""
        self.progress.show(self.runs * min(1.0, t / self.rounds), row)
