"""The table of a sweep, from what its units have written or returned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jdl import checks
from jdl.runs.goal import goal_of
from jdl.runs.history import Row
from jdl.sweeps.folder import Content, Folder, Marker
from jdl.sweeps.table import SweepTable
from jdl.sweeps.units import Unit
from jdl.sweeps.work import rows_of

__all__ = ["Ran", "from_folder", "load_sweep", "ran", "table_of", "up_to"]


class Ran(NamedTuple):
    """What is known of one job.

    Args:
      rows: its evaluations.
      status: its status.
    """

    rows: list[Row]
    status: str


def ran(
    unit: Unit, rows: list[Row], marker: Marker | None, until: Any, held: bool = False
) -> Iterator[tuple[str, Ran]]:
    """What is known of the jobs of a unit, by id.

    Args:
      unit: the unit.
      rows: its evaluations, arrays [S].
      marker: its marker, or None.
      until: the goal of its jobs, or None.
      held: whether a process works on it.
    """
    own = rows_of(rows, len(unit.jobs), goal_of(until))
    begun = "running" if held else "interrupted" if rows else "missing"
    for place, id_ in enumerate(unit.jobs):
        yield id_, Ran(own[place], begun if marker is None else marker.status[place])


def from_folder(folder: Folder, units: Iterable[Unit], content: Content) -> dict[str, Ran]:
    """What the directory of a sweep says of the jobs of units."""
    found: dict[str, Ran] = {}
    for unit in units:  # a job of two units, of which the first was given up, is taken from the second
        marker, until = folder.marker(unit), content.jobs[unit.jobs[0]].until
        rows = folder.rows(unit)
        if marker is not None and not marker.ended and (not rows or rows[-1]["round"] < marker.rounds):
            last = f"after round {rows[-1]['round']}" if rows else "from the start"
            lost = f"{folder.path_of(unit) / 'history.csv'} is damaged {last}: its last evaluations are left out"
            checks.note(f"{lost}; delete {folder.path_of(unit)} to run these again")
        found |= ran(unit, rows, marker, until, marker is None and folder.is_held(unit))
    return found


def up_to(ran: Ran, rounds: int) -> Ran:
    """What is known of a job up to a round, where it was asked for more rounds before.

    >>> up_to(Ran([{"round": 0}, {"round": 10}, {"round": 20}], "diverged"), 10)
    Ran(rows=[{'round': 0}, {'round': 10}], status='finished')
    """
    rows = [row for row in ran.rows if row["round"] <= rounds]
    return ran if len(rows) == len(ran.rows) else Ran(rows, "finished")


def table_of(
    jobs: Sequence[tuple[str, str, Mapping[str, Any], int]],
    known: Mapping[str, Ran],
    arguments: Mapping[str, Mapping[str, Any]] | None = None,
) -> SweepTable:
    """The table of jobs.

    Args:
      jobs: for each its id, the id of its point, its labels and its seed, in the order of the points.
      known: what is known of jobs, by id.
      arguments: the arguments of points by id, if they are to be kept.
    """
    points: dict[str, int] = {}
    labels, rows, status = [], [], {}
    for id_, point, label, seed in jobs:
        if point not in points:
            points[point] = len(points)
            labels.append(label)
        place, one = points[point], known.get(id_, Ran([], "missing"))
        status[place, seed] = one.status
        rows += [{"point": place, "seed": seed, **row} for row in one.rows]
    kept = None if arguments is None else [arguments[point] for point in points]
    return SweepTable(labels, rows, status, kept)


def load_sweep(run_dir: Any) -> SweepTable:
    """Read the table of a sweep from its directory, as far as it is done.

    Args:
      run_dir: the directory.

    Raises:
      InputError: if it holds no sweep.
    """
    folder = Folder(run_dir)
    content = folder.known()
    jobs = [(id_, one.point, one.labels, one.seed) for id_, one in content.jobs.items()]
    return table_of(jobs, from_folder(folder, content.units, content))
