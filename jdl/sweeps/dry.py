"""What a sweep would do: units, runs, programs, memory and disk, by estimates that compile nothing."""

from __future__ import annotations

import dataclasses

from jdl.engine.state import program_key
from jdl.runs.aligned import brought
from jdl.sweeps.jobs import composed
from jdl.sweeps.planning import Plan
from jdl.sweeps.units import Unit, bytes_of

__all__ = ["DryRun", "dry_run_of"]

CHECKPOINTS = 2  # that are kept of each run


@dataclasses.dataclass(frozen=True)
class DryRun:
    """What a sweep would do.

    Attributes:
      points: the number of points.
      runs: the number of runs: points times seeds.
      done: how many of these are done already.
      units: the number of units that are left.
      programs: the number of programs to compile, at most.
      memory_bytes: an estimate of the memory that the largest unit needs.
      disk_bytes: an estimate of what the checkpoints take on disk.
    """

    points: int
    runs: int
    done: int
    units: int
    programs: int
    memory_bytes: int
    disk_bytes: int

    def __repr__(self) -> str:
        done = f", {self.done:,} of them done" if self.done else ""
        return "\n".join(
            [
                f"{self.runs:,} runs of {self.points:,} points{done}",
                f"{self.units:,} units, {self.programs:,} programs to compile",
                f"about {_size(self.memory_bytes)} of memory for the largest unit",
                f"about {_size(self.disk_bytes)} of checkpoints",
            ]
        )


def dry_run_of(plan: Plan) -> DryRun:
    """What is left to do of a plan."""
    todo = [unit for unit in plan.needed if not plan.is_done(unit)]
    sizes = [_of_unit(plan, unit) for unit in todo]
    left = sum(len(unit.jobs) for unit in todo)
    return DryRun(
        points=len({job.point for job in plan.jobs.values()}),
        runs=len(plan.jobs),
        done=len(plan.jobs) - left,
        units=len(todo),
        programs=len({(program, unit.sample, unit.width) for unit, (program, _, _) in zip(todo, sizes, strict=True)}),
        memory_bytes=max((memory for _, memory, _ in sizes), default=0),
        disk_bytes=sum(disk for _, _, disk in sizes) if plan.folder is not None else 0,
    )


def _of_unit(plan: Plan, unit: Unit) -> tuple[object, int, int]:
    """The program of a unit, its memory, and its checkpoints, in bytes."""
    one = plan.simulations.get(unit.jobs[0]) or composed([plan.jobs[unit.jobs[0]]])[0]
    one = brought(one, unit.shape)
    data, run, state = bytes_of(one)
    return program_key(one), data + unit.width * run, CHECKPOINTS * len(unit.jobs) * state


def _size(count: int) -> str:
    """A number of bytes for people.

    >>> _size(2_500_000), _size(3 * 10**9), _size(900)
    ('2.5 MB', '3.0 GB', '0.0 MB')
    """
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
