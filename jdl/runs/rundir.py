"""A run directory: config.json, history.csv, summary.json, curves.png, checkpoint/; a lock while the run goes on."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jdl import checks
from jdl.engine.sim import RunState
from jdl.runs.checkpoint import Checkpoints
from jdl.runs.describe import differences
from jdl.runs.history import Row, append_csv, read_csv
from jdl.runs.lock import Lock
from jdl.runs.public_names import renewed

__all__ = ["Place", "RunDir"]

LOCK = "lock"
# What a run makes before its configuration is complete: a directory with no more than these is as good as empty.
BEFORE = {LOCK, "config.json.part"}
# Characters that orbax takes for patterns where it looks for its own files.
PATTERNS = "*?["


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a run is to be kept, in the words of whoever asked for it.

    Args:
      path: of the directory; "~" is the home.
      numbered: take the first of `path`, `path-2`, `path-3`, ... that does not exist.
      argument: what the caller calls the directory.
      again: how the caller goes on with the run in `{path}`.
    """

    path: Path
    numbered: bool = False
    argument: str = "run_dir"
    again: str = "jdl.run(..., run_dir={path!r}, resume=True)"

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", checks.path(self.path))

    @property
    def named(self) -> str:
        """The argument and its value."""
        return f"{self.argument}={self.path}"

    @property
    def go_on(self) -> str:
        """How the caller goes on with the run."""
        return self.again.format(path=str(self.path))

    def check(self) -> None:
        """Check that a run directory can be made here.

        Raises:
          InputError: if it is in use, cannot be written, or has a name that checkpoints cannot be found under.
        """
        odd = sorted(set(PATTERNS) & set(str(self.path.absolute())))
        need = f"need one without {' and '.join(odd)}, which checkpoints cannot be found under"
        checks.require(not odd, f"got {self.argument}={self.path.absolute()}, {need}; {self.another}")
        above = next(place for place in (self.path, *self.path.absolute().parents) if place.exists())
        writable = above.is_dir() and os.access(above, os.W_OK | os.X_OK)
        need = f"got {self.named}, need a directory that can be written ({above} cannot); {self.another}"
        checks.require(writable, need)
        if not self.numbered:
            self.check_empty()

    def check_empty(self) -> None:
        """Check that the directory holds nothing.

        Raises:
          InputError: if it does.
        """
        held = {one.name for one in self.path.iterdir()} - BEFORE if self.path.is_dir() else ()
        do = f"resume the run in it with `{self.go_on}`, or {self.another}"
        checks.require(not held, f"got {self.named}, which is not empty, need a new directory; {do}")

    @property
    def another(self) -> str:
        """What to do where this one cannot be used."""
        return f"give another {self.argument}"

    def make(self) -> Path:
        """The directory, made if it is not there; one that nobody else has made, where it is `numbered`."""
        try:
            if not self.numbered:
                self.path.mkdir(parents=True, exist_ok=True)
                return self.path
            self.path.parent.mkdir(parents=True, exist_ok=True)
            path, number = self.path, 1
            while True:
                with contextlib.suppress(FileExistsError):
                    path.mkdir()
                    return path
                number += 1
                path = self.path.with_name(f"{self.path.name}-{number}")
        except OSError as error:  # what no check foresees: a full disk, a file system of the kernel's
            raise self.unwritable(error) from error

    def unwritable(self, error: OSError) -> checks.InputError:
        """The sentence for a directory that cannot be written after all."""
        need = f"got {self.named}, need a directory that can be written ({error.strerror})"
        return checks.InputError(f"{need}; {self.another}")


class RunDir:
    """The files of one run, which nobody else writes. Rows are on disk before the checkpoint that counts on them.

    As a context: a run that fails before its first evaluation leaves no directory behind.
    """

    def __init__(self, place: Place, config: dict[str, Any], resume: bool):
        self.fresh, self.path = not resume, place.path
        if resume:
            _same_configuration(place, config)
            self.lock = Lock(self.path / LOCK, f"run directory {self.path}")
        else:
            place.check()
            text = _json(config)
            self.path = place.make()
            self.lock = Lock(self.path / LOCK, place.named)
            try:
                dataclasses.replace(place, path=self.path).check_empty()  # now that nobody else can write
                self._write("config.json", text)
            except OSError as error:
                self.lock.release()
                raise place.unwritable(error) from error
            except BaseException:
                self.lock.release()
                raise
        self.go_on = dataclasses.replace(place, path=self.path).go_on
        self.checkpoints = Checkpoints(self.path / "checkpoint")

    def row(self, row: Row) -> None:
        """Append an evaluation to the history."""
        self.fresh = False
        append_csv(self.path / "history.csv", row)

    def save(self, sim: RunState, progress: dict[str, Any]) -> None:
        """Write a checkpoint."""
        self.checkpoints.save(sim, progress)

    def restore(self, like: RunState) -> tuple[RunState, dict[str, Any], list[Row]] | None:
        """The newest checkpoint that is whole and the history up to it, or None if the run was killed before its first.

        Rows after the checkpoint are cut from the file: the run makes them again. A checkpoint that cannot be read, or
        whose rows are not all there, is passed over with a note.

        Raises:
          InputError: if there are checkpoints and none can be used.
        """
        found, faults = None, {}
        kept = read_csv(self.path / "history.csv")
        for step in self.checkpoints.steps:
            try:
                sim, progress = self.checkpoints.restore(step, like)
            except checks.InputError:
                raise
            except Exception as error:  # whatever orbax makes of files that were cut short
                faults[step] = f"the checkpoint of round {step} is damaged ({_first_line(error)})"
                continue
            rows = [row for row in kept if row["round"] <= int(sim.t)][: progress["rows"]]
            if len(rows) < progress["rows"]:
                faults[step] = f"history.csv has {len(rows)} of the {progress['rows']} rows up to round {step}"
                continue
            found = sim, progress, rows
            break
        what = "; ".join(faults.values())
        do = f"bring back the files, or delete {self.path / 'checkpoint'} to begin at round 0"
        checks.require(found is not None or not faults, f"got run directory {self.path}, of which {what}; {do}")
        if faults:
            checks.note(f"{what}; going on from round {int(found[0].t)}")
            for step in faults:
                self.checkpoints.forget(step)
        self._rewrite(found[2] if found else [])
        return found

    def _rewrite(self, rows: list[Row]) -> None:
        replacement = self.path / "history.csv.new"
        replacement.unlink(missing_ok=True)
        replacement.touch()
        for row in rows:
            append_csv(replacement, row)
        os.replace(replacement, self.path / "history.csv")

    def summary(self, summary: dict[str, Any]) -> None:
        """Write summary.json."""
        self._write("summary.json", _json(summary))

    def _write(self, name: str, text: str) -> None:
        part = self.path / f"{name}.part"
        part.write_text(text)
        os.replace(part, self.path / name)  # never a half-written file

    def close(self) -> None:
        """Let go of the directory."""
        self.checkpoints.close()
        self.lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
        if self.fresh and isinstance(error, Exception):
            for name in ("config.json", "history.csv", "history.csv.new"):
                (self.path / name).unlink(missing_ok=True)
            shutil.rmtree(self.path / "checkpoint", ignore_errors=True)
            with contextlib.suppress(OSError):  # something of somebody else's is in it
                self.path.rmdir()


def _same_configuration(place: Place, config: dict[str, Any]) -> None:
    """Check that the directory holds the run that is described.

    Raises:
      InputError: if it holds none, or another.
    """
    file = place.path / "config.json"
    do = "name the directory of a run, or begin anew"
    checks.require(file.is_file(), f"got run directory {place.path}, which holds no config.json; {do}")
    try:
        was = json.loads(file.read_text())
        before = {key: was[key] for key in ("run", "simulation")}
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise checks.InputError(f"got {file}, which cannot be read ({error}); restore it, or run anew") from error
    now = json.loads(_json(config))
    odd = [text for key in before for text in differences(renewed(before[key]), now[key], key)]
    do = f"to start anew {place.another}, or restore what was"
    need = f"got a run directory of another configuration: {'; '.join(odd[:3])}; need the same to resume"
    checks.require(not odd, f"{need}; {do}")


def _json(content: dict[str, Any]) -> str:
    try:
        return json.dumps(content, indent=2) + "\n"
    except (TypeError, ValueError) as error:
        raise checks.InputError(
            f"got a command that is no JSON ({error}), need text, numbers, lists and dictionaries; convert it"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
