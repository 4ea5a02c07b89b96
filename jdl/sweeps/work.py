"""The work of one unit of a sweep: its jobs are driven as one run, and its files are written, the marker last."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from jdl import checks
from jdl.engine.sim import Simulation
from jdl.runs.aligned import brought
from jdl.runs.configuration import settings_of
from jdl.runs.describe import environment
from jdl.runs.driver import Driver
from jdl.runs.ending import ending
from jdl.runs.goal import Goal, goal_of
from jdl.runs.history import History, Row
from jdl.runs.interrupt import Stop
from jdl.runs.lock import Held, Lock
from jdl.runs.pace import Pace
from jdl.runs.place import Place
from jdl.runs.rundir import RunDir
from jdl.runs.several import driven
from jdl.sweeps.folder import Folder, Marker
from jdl.sweeps.jobs import Job, composed
from jdl.sweeps.units import Unit

__all__ = ["Outcome", "do", "rows_of"]

GO_ON = "the same call of jdl.sweep"


class Shown(Protocol):
    """What a driver tells of its progress, see `jdl.runs.progress.Bar`."""

    def start(self, t: int) -> None: ...

    def update(self, t: int, row: Row | None) -> None: ...


class Outcome(NamedTuple):
    """What became of a unit.

    Args:
      rows: the evaluations, arrays [S] of the S jobs.
      marker: what is to be said of the unit when it is done.
      done: whether all its rounds are done, or none are left to do.
    """

    rows: list[Row]
    marker: Marker
    done: bool


@dataclasses.dataclass
class _Driver(Driver):
    """A driver of jobs, each of which has a goal of its own: it ends when each has reached it at some evaluation."""

    @property
    def reached(self) -> bool:
        """Whether no job is left that has neither reached the goal nor diverged."""
        if self.goal is None or not self.rows:
            return False
        self.goal.reached(self.rows[-1])  # refuses a column that does not exist
        lost = self.driven.status(self.at.state) >= 0
        return bool(np.all(lost | np.any([self.goal.met(row) for row in self.rows], axis=0)))


def rows_of(rows: list[Row], count: int, goal: Goal | None) -> list[list[Row]]:
    """The evaluations of each job: up to its divergence, and up to the first that reaches the goal.

    Args:
      rows: the evaluations, arrays [S].
      count: the number of jobs, S.
      goal: their goal, or None.
    """
    history, found = History(rows, range(count)), []
    for job in range(count):
        own = history.of(job).rows if rows else []
        ends = [place for place, row in enumerate(own) if goal is not None and goal.reached(row)]
        found.append(own[: ends[0] + 1] if ends else own)
    return found


def do(
    unit: Unit,
    jobs: Sequence[Job],
    rounds: int,
    stop: Stop,
    bar: Shown,
    folder: Folder | None = None,
    checkpoint_every: int | None = None,
    simulations: Sequence[Simulation] | None = None,
) -> Outcome | None:
    """Run a unit, or go on with it.

    Args:
      unit: the unit.
      jobs: its jobs.
      rounds: the number of rounds.
      stop: tells whether the user asked to stop.
      bar: is told of the progress.
      folder: the directory of the sweep; None writes nothing.
      checkpoint_every: the number of rounds between checkpoints, or None.
      simulations: the composed simulations of the jobs, if there are any already.

    Returns:
      What became of it; None if it goes on in another process, or was done there in the meantime.
    """
    with contextlib.ExitStack() as stack:
        files = None
        if folder is not None:
            try:
                lock = Lock(folder.lock_of(unit), f"unit {unit.name} of {folder.path}")
            except Held:
                return None
            stack.callback(lock.release)
            marker = folder.marker(unit)
            if marker is not None and marker.enough(rounds):
                return None
            stack.enter_context(_unmarked(folder, unit, marker))
            place = Place(folder.path_of(unit))
            resume = (place.path / "config.json").is_file()
            rounds = max(rounds, settings_of(place)["rounds"]) if resume else rounds
            config = _config(unit, jobs, rounds, checkpoint_every)
            files = stack.enter_context(RunDir(place, config, resume, range(len(jobs)), "job"))
        return _driven(unit, jobs, rounds, stop, bar, folder, files, checkpoint_every, simulations)


@contextlib.contextmanager
def _unmarked(folder: Folder, unit: Unit, marker: Marker | None) -> Iterator[None]:
    """A unit that goes on for more rounds is not done meanwhile; it still is if it is refused."""
    folder.unmark(unit)
    try:
        yield
    except checks.InputError:
        if marker is not None:
            folder.mark(unit, marker)
        raise


def _driven(
    unit: Unit,
    jobs: Sequence[Job],
    rounds: int,
    stop: Stop,
    bar: Shown,
    folder: Folder | None,
    files: RunDir | None,
    checkpoint_every: int | None,
    simulations: Sequence[Simulation] | None,
) -> Outcome:
    begun = time.monotonic()
    how = jobs[0].arguments
    goal = goal_of(how.get("until"))
    made = [brought(one, unit.shape) for one in (composed(jobs) if simulations is None else simulations)]
    with jax.disable_jit() if how.get("mapping") == "loop" else contextlib.nullcontext():
        several = driven(made, how.get("params"), unit.sample, unit.width)
        driver = _Driver(several, Pace(rounds, unit.eval_every, checkpoint_every), stop, bar, files, goal=goal)
        driver.drive()
    lost = several.status(driver.at.state)
    own = rows_of(driver.rows, len(jobs), goal)
    tell = {"t": driver.at.t, "rounds": rounds, "go_on": GO_ON, "goal": goal}
    # A job that reached its goal, and went on beside others that had not, may have diverged since.
    at_goal = [goal is not None and bool(rows) and goal.reached(rows[-1]) for rows in own]
    rounds_lost = [-1 if there else int(one) for there, one in zip(at_goal, lost, strict=True)]
    endings = [ending(one, diverged_round=rounds_lost[job], rows=own[job], **tell) for job, one in enumerate(made)]
    ended = driver.finished and not driver.pace.done(driver.evaluated)
    marker = Marker(
        rounds=rounds,
        ended=ended,
        jobs=tuple(job.id for job in jobs),
        status=tuple(status for status, _ in endings),
        message=tuple(message for _, message in endings),
        seconds=driver.seconds,
        compile_seconds=driver.begun - begun,
    )
    if folder is not None and driver.finished:
        folder.mark(unit, marker)
    return Outcome(driver.rows, marker, driver.finished)


def _config(unit: Unit, jobs: Sequence[Job], rounds: int, checkpoint_every: int | None) -> dict[str, Any]:
    """The configuration of the unit's directory."""
    run = {"rounds": rounds, "eval_every": unit.eval_every, "checkpoint_every": checkpoint_every}
    run |= {} if unit.sample is None else {"eval_nodes": unit.sample._asdict()}
    listed = [{"id": job.id, "seed": job.seed} for job in jobs]
    return {"command": None, "run": run, "simulation": unit.as_json() | {"jobs": listed}, **_environment()}


_environment = functools.cache(environment)  # it asks git
