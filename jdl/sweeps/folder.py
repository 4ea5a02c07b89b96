"""The directory of a sweep: sweep.json says what it is, and each unit has a run directory of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jdl import checks
from jdl.runs.describe import differences, environment
from jdl.runs.history import Row
from jdl.runs.history_files import read_rows
from jdl.runs.lock import Held, Lock, is_held
from jdl.runs.place import LOCK, Place
from jdl.runs.said import DONE, HISTORY, SWEEP
from jdl.sweeps.jobs import Job
from jdl.sweeps.units import Unit

__all__ = ["Content", "Folder", "Marker", "Record", "record_of"]

WAIT = 0.2  # seconds between two looks at a lock


@dataclasses.dataclass(frozen=True)
class Marker:
    """What done.json says of a unit that is done.

    Attributes:
      rounds: the number of rounds that were asked for.
      ended: whether more rounds would change nothing: all jobs have diverged, or reached their goal.
      jobs: the ids of the jobs.
      status: the status of each.
      message: a sentence for each.
      seconds: the time of the rounds.
      compile_seconds: the time before them.
    """

    rounds: int
    ended: bool
    jobs: tuple[str, ...]
    status: tuple[str, ...]
    message: tuple[str, ...]
    seconds: float
    compile_seconds: float

    def enough(self, rounds: int) -> bool:
        """Whether so many rounds are done, or none are left to do."""
        return self.ended or self.rounds >= rounds


@dataclasses.dataclass(frozen=True)
class Record:
    """What sweep.json says of a job: the hash of its point, its labels, its seed, and its goal."""

    point: str
    labels: dict[str, Any]
    seed: int
    until: dict[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class Content:
    """What sweep.json says.

    Attributes:
      constants: the description of all arguments, with a word in the place of each mark.
      first_rounds: the number of rounds that were asked for first.
      jobs: the jobs by id, in the order of the table.
      units: the units in their order, in which new ones come last.
    """

    constants: dict[str, Any]
    first_rounds: int
    jobs: dict[str, Record]
    units: tuple[Unit, ...]

    def unit_of(self) -> dict[str, Unit]:
        """The unit of each job."""
        return {job: unit for unit in self.units for job in unit.jobs}

    def extended(
        self, constants: dict[str, Any], jobs: dict[str, Record], units: tuple[Unit, ...], whole: bool
    ) -> Content:
        """What it says when a sweep is added.

        Args:
          constants: those of the sweep.
          jobs: its jobs.
          units: all units.
          whole: whether the sweep has all points that there were; then its order and its labels hold from now on.
        """
        if whole:
            return Content(
                constants, self.first_rounds, jobs | {i: self.jobs[i] for i in self.jobs if i not in jobs}, units
            )
        return Content(self.constants, self.first_rounds, jobs | self.jobs, units)


def record_of(job: Job) -> Record:
    """What sweep.json says of a job."""
    until = job.arguments.get("until")
    plain = lambda value: value if isinstance(value, str) else float(value)
    return Record(job.point, job.labels, job.seed, until and {name: plain(value) for name, value in until.items()})


class Folder:
    """A directory of a sweep, on which several processes may work.

    Args:
      run_dir: where it is, or will be made.
    """

    def __init__(self, run_dir: str | os.PathLike[str]):
        self.place = Place(run_dir, again="jdl.sweep(..., run_dir={path!r})")
        self.path = self.place.path

    def check(self) -> None:
        """Check that a sweep can be written here.

        Raises:
          InputError: if the directory holds something else than a sweep, or cannot be written.
        """
        if not self._file.is_file():
            self.place.check()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock on sweep.json, as soon as no other process does."""
        self.place.make()
        while True:
            try:
                lock = Lock(self.path / LOCK, f"sweep directory {self.path}")
                break
            except Held:
                time.sleep(WAIT)
        try:
            yield
        finally:
            lock.release()

    @property
    def _file(self) -> Path:
        return self.path / SWEEP

    def read(self) -> Content | None:
        """What sweep.json says; None if there is none.

        Raises:
          InputError: if it cannot be read.
        """
        if not self._file.is_file():
            return None
        try:
            found = json.loads(self._file.read_text())
            jobs = {id_: Record(**record) for id_, record in found["jobs"].items()}
            units = tuple(map(Unit.of_json, found["units"]))
            return Content(found["constants"], found["first_rounds"], jobs, units)
        except (ValueError, KeyError, TypeError, OSError) as error:
            do = "restore it, or begin in another directory"
            raise checks.InputError(f"got {self._file}, which cannot be read ({error}), need a sweep; {do}") from error

    def known(self) -> Content:
        """What sweep.json says.

        Raises:
          InputError: if there is none.
        """
        content = self.read()
        do = "name the directory of a sweep"
        checks.require(content is not None, f"got {self.path}, which holds no {SWEEP}, need a sweep; {do}")
        return content

    def write(self, content: Content) -> None:
        """Write sweep.json, while it is locked."""
        jobs = {id_: dataclasses.asdict(record) for id_, record in content.jobs.items()}
        units = [unit.as_json() for unit in content.units]
        whole = {"constants": content.constants, "first_rounds": content.first_rounds, "jobs": jobs, "units": units}
        _write(self._file, whole | environment())

    def check_same(self, held: Content, constants: dict[str, Any], jobs: Iterable[Job]) -> bool:
        """Check that the directory holds a sweep which this one extends, or of which it is a part.

        Args:
          held: what the directory holds.
          constants: see `Content`.
          jobs: the jobs of this sweep.

        Returns:
          Whether this sweep has all points of the other, so that its labels hold for all.

        Raises:
          InputError: if it holds another sweep; the sentence says what differs.
        """
        before, now = {record.point for record in held.jobs.values()}, {job.point for job in jobs}
        odd = differences(held.constants, json.loads(json.dumps(constants)))
        need = f"got run_dir={self.path}, which holds another sweep: {'; '.join(odd[:3])}"
        do = f"need the same in all that does not vary, to extend it; {self.place.another}"
        checks.require(not odd or before <= now or now <= before, f"{need}; {do}")
        return before <= now

    def path_of(self, unit: Unit) -> Path:
        """The run directory of a unit."""
        return self.path / "units" / unit.name

    def lock_of(self, unit: Unit) -> Path:
        """The lock of a unit, beside its directory."""
        folder = self.path / "units"
        folder.mkdir(exist_ok=True)
        return folder / f"{unit.name}.lock"

    def is_held(self, unit: Unit) -> bool:
        """Whether a process works on a unit."""
        return is_held(self.path / "units" / f"{unit.name}.lock")

    def marker(self, unit: Unit) -> Marker | None:
        """What is said of a unit that is done; None if it is not."""
        file = self.path_of(unit) / DONE
        try:
            found = json.loads(file.read_text())
            return Marker(**found | {name: tuple(found[name]) for name in ("jobs", "status", "message")})
        except (OSError, ValueError, KeyError, TypeError):  # none, or one that a disk has damaged: it is done again
            return None

    def mark(self, unit: Unit, marker: Marker) -> None:
        """Write the marker of a unit; all its other files are complete."""
        _write(self.path_of(unit) / DONE, dataclasses.asdict(marker))

    def unmark(self, unit: Unit) -> None:
        """Remove the marker of a unit, if there is one."""
        (self.path_of(unit) / DONE).unlink(missing_ok=True)

    def rows(self, unit: Unit) -> list[Row]:
        """The evaluations of a unit, arrays [S] of its jobs."""
        return read_rows(self.path_of(unit) / HISTORY, range(len(unit.jobs)), "job")


def _write(path: Path, content: dict[str, Any]) -> None:
    """Write a file at once, and wait until the disk has it: a marker must not outlive what it says."""
    part = path.with_name(f"{path.name}.part")
    with part.open("w") as file:
        file.write(json.dumps(content, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
