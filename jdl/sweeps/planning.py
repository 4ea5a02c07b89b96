"""What a sweep is to do: its jobs, their units, and which of these are not done yet."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax

from jdl import checks
from jdl.engine.sim import Simulation
from jdl.runs.describe import value_of
from jdl.runs.goal import check_columns, goal_of
from jdl.sweeps.folder import Content, Folder, record_of
from jdl.sweeps.jobs import Job, composed, jobs_of, naming
from jdl.sweeps.places import replaced
from jdl.sweeps.points import Point, points, points_of
from jdl.sweeps.units import MOST, Unit, units_of

__all__ = ["Plan", "planned", "points_and_constants", "shard_of"]

NOTED = 20  # programs, of which a user may want to know
KEPT_BYTES = 512 * 1024**2  # simulations of more than this are composed again for each unit, so that memory stays flat


@dataclasses.dataclass
class Plan:
    """What a sweep is to do.

    Attributes:
      jobs: the jobs that are asked for by id, in the order of the table.
      units: all units of the sweep, in their order; also those of other jobs, where a directory holds more.
      unit_of: the unit of each job that is asked for.
      folder: the directory, or None.
      simulations: the composed simulations of jobs by id, as far as they are kept.
      programs: the number of programs that new units need.
    """

    jobs: dict[str, Job]
    units: tuple[Unit, ...]
    unit_of: dict[str, Unit]
    folder: Folder | None
    simulations: dict[str, Simulation]
    programs: int = 0

    @functools.cached_property
    def needed(self) -> list[Unit]:
        """The units of the jobs that are asked for, done or not."""
        names = {unit.name for unit in self.unit_of.values()}
        return [unit for unit in self.units if unit.name in names]

    def rounds(self, unit: Unit) -> int:
        """The rounds that are asked for of a unit; 0 if none of its jobs is asked for."""
        return _rounds(unit, self.jobs)

    def is_done(self, unit: Unit) -> bool:
        """Whether nothing is left to do for a unit."""
        marker = None if self.folder is None else self.folder.marker(unit)
        return marker is not None and marker.enough(self.rounds(unit))


def _rounds(unit: Unit, jobs: Mapping[str, Job]) -> int:
    return max(jobs[id_].rounds if id_ in jobs else 0 for id_ in unit.jobs)


def points_and_constants(
    arguments: Mapping[str, Any], several: Sequence[Mapping[str, Any] | Point] | None
) -> tuple[list[Point], dict[str, Any]]:
    """The points of a sweep, and a description of what does not vary.

    Args:
      arguments: the arguments of all points, with marks.
      several: a list of points that add to these arguments, or None.
    """
    fixed, found = dict(arguments), None
    if isinstance(several, Sequence) and several and all(isinstance(one, Point) for one in several):
        found = [one._replace(arguments={**arguments, **one.arguments}) for one in several]
        fixed = {name: value for name, value in fixed.items() if not any(name in one.arguments for one in several)}
    elif several is not None:
        listed = isinstance(several, Sequence) and all(isinstance(one, Mapping) for one in several)
        found = points_of([{**arguments, **one} for one in several] if listed else several)
        fixed = {name: value for name, value in fixed.items() if not any(name in one for one in several)}
        known = {*arguments, "label"}
        for name in sorted({name for one in several for name in one} - known):
            checks.known("argument in points", name, known)
    fixed.pop("rounds", None)
    return points(arguments) if found is None else found, value_of(replaced(fixed, lambda mark: "varies"))


def planned(
    found: Sequence[Point],
    constants: dict[str, Any],
    seeds: Sequence[int],
    folder: Folder | None,
    most: int | None,
    shards: int = 1,
    write: bool = True,
) -> Plan:
    """Plan a sweep: which jobs there are, and their units. Units that a directory knows stay as they are.

    Args:
      found: the points.
      constants: a description of what does not vary.
      seeds: the seeds.
      folder: the directory, or None.
      most: the largest number of jobs in a new unit, or None.
      shards: the least number of new units, as far as there are so many jobs.
      write: whether to write sweep.json.

    Raises:
      InputError: if a point is refused, or if the directory holds another sweep.
    """
    jobs = {job.id: job for job in jobs_of(found, seeds)}
    first = next(iter(jobs.values())).rounds
    if folder is None:
        return _cut(jobs, {}, (), None, first, most, shards)
    folder.check()
    with folder.locked() if write else contextlib.nullcontext():
        held = folder.read()
        if held is None and write:
            folder.check()  # again, now that no other process can write
            _check_goals(jobs.values())
        whole = held is None or folder.check_same(held, constants, jobs.values())
        held = held or Content(constants, first, {}, ())
        known = {id_: unit for unit in held.units if _usable(unit, jobs, folder) for id_ in unit.jobs if id_ in jobs}
        plan = _cut(jobs, known, held.units, folder, held.first_rounds, most, shards)
        if write:
            folder.write(
                held.extended(constants, {id_: record_of(job) for id_, job in jobs.items()}, plan.units, whole)
            )
    return plan


def _check_goals(jobs: Iterable[Job]) -> None:
    """Check the columns of each goal with the first point that has it, before the directory holds a sweep."""
    firsts = {repr(job.arguments.get("until")): job for job in reversed([*jobs]) if job.arguments.get("until")}
    for job in firsts.values():
        with naming(job.labels):
            check_columns(goal_of(job.arguments["until"]), composed([job])[0])


def _usable(unit: Unit, jobs: Mapping[str, Job], folder: Folder) -> bool:
    """Whether a unit has the rounds that are asked for, or the arguments of all its jobs are known to go on."""
    if all(id_ in jobs for id_ in unit.jobs):
        return True
    marker = folder.marker(unit)
    return marker is not None and marker.enough(_rounds(unit, jobs))


def _cut(
    jobs: dict[str, Job],
    known: dict[str, Unit],
    units: tuple[Unit, ...],
    folder: Folder | None,
    first: int,
    most: int | None,
    shards: int,
) -> Plan:
    """Make the plan: jobs of which no unit is known are cut into new ones."""
    new = [job for job in jobs.values() if job.id not in known]
    lengths = len({job.rounds for job in jobs.values()}) > 1
    first_rounds: Callable[[Job], int] = lambda job: job.rounds if lengths else first
    made = composed(new)
    size = min(most or MOST, max(1, -(-len(new) // shards)))
    added, programs = units_of(new, made, first_rounds, size)
    if programs > NOTED:
        checks.note(
            f"the points need {programs} programs, since their shapes or parts differ; each takes seconds to compile"
        )
    kept = {job.id: one for job, one in zip(new, made, strict=True)} if _bytes(made) <= KEPT_BYTES else {}
    unit_of = known | {id_: unit for unit in added for id_ in unit.jobs}
    names = {unit.name for unit in units}
    every = (*units, *(unit for unit in added if unit.name not in names))
    return Plan(jobs, every, unit_of, folder, kept, programs)


def _bytes(simulations: Sequence[Simulation]) -> int:
    """What the arrays of simulations take that no two of them share."""
    if not simulations:
        return 0
    first = {id(leaf) for leaf in jax.tree.leaves(simulations[0])}
    leaves = {id(leaf): leaf for one in simulations for leaf in jax.tree.leaves(one) if id(leaf) not in first}
    return sum(leaf.nbytes for leaf in leaves.values())


def shard_of(shard: str | tuple[int, int] | None) -> tuple[int, int] | None:
    """The number of a shard, counted from 1, and how many there are.

    Raises:
      InputError: if it is neither text such as "3/16" nor two numbers, or if there is no such shard.

    >>> shard_of("3/16"), shard_of((1, 4)), shard_of(None)
    ((3, 16), (1, 4), None)
    """
    if shard is None:
        return None
    need = 'need the number of this part, counted from 1, of all parts; try shard="1/16"'
    try:
        number, of = map(int, shard.split("/") if isinstance(shard, str) else shard)
    except (TypeError, ValueError):
        raise checks.InputError(f"got shard={shard!r}, {need}") from None
    checks.require(1 <= number <= of, f"got shard={shard!r}, {need}")
    return number, of
