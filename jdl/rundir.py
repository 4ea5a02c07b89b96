"""A run directory: config.json, history.csv, summary.json, curves.png, checkpoint/."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from jdl import checks
from jdl.checkpoint import Checkpoints
from jdl.describe import differences
from jdl.history import Row, append_csv, read_csv
from jdl.sim import Sim

__all__ = ["RunDir", "check", "free_name"]


def check(path: Path) -> None:
    """A sentence if a run directory cannot be made at `path`: it is in use, or cannot be written."""
    above = next(place for place in (path, *path.absolute().parents) if place.exists())
    writable = above.is_dir() and os.access(above, os.W_OK | os.X_OK)
    need = f"got out={path}, need a directory that can be written ({above} cannot); give another --out"
    checks.require(writable, need)
    taken = path.is_dir() and any(path.iterdir())
    do = f"resume the run in it with `jdl resume {path}`, or give another --out"
    checks.require(not taken, f"got out={path}, which is not empty, need a new directory; {do}")


def free_name(parent: Path, name: str) -> Path:
    """`parent/name`, or with the first of -2, -3, ... that does not exist."""
    path, number = parent / name, 1
    while path.exists():
        number += 1
        path = parent / f"{name}-{number}"
    return path


class RunDir:
    """The files of one run. Rows are on disk before the checkpoint that counts on them."""

    def __init__(self, path: str | Path, config: dict[str, Any], resume: bool):
        self.path = Path(path)
        config_file = self.path / "config.json"
        if resume:
            checks.require(
                config_file.exists(),
                f"got run directory {self.path}, which holds no config.json; name the directory of a run",
            )
            was = json.loads(config_file.read_text())
            odd = [
                text
                for key in ("run", "simulation")
                for text in differences(was[key], json.loads(json.dumps(config[key])), key)
            ]
            checks.require(
                not odd,
                f"got a run directory of another configuration: {'; '.join(odd[:3])}; need the same to resume; "
                f"start anew with another --out, or restore what was",
            )
        else:
            check(self.path)
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                self._write("config.json", config)
            except OSError as error:  # what no check foresees: a full disk, a file system of the kernel's
                need = f"got out={self.path}, need a directory that can be written ({error.strerror})"
                raise checks.InputError(f"{need}; give another --out") from error
        self.checkpoints = Checkpoints(self.path / "checkpoint")

    def row(self, row: Row) -> None:
        """Append an evaluation to the history."""
        append_csv(self.path / "history.csv", row)

    def save(self, sim: Sim, progress: dict[str, Any]) -> None:
        """Write a checkpoint."""
        self.checkpoints.save(sim, progress)

    def restore(self, like: Sim) -> tuple[Sim, dict[str, Any], list[Row]] | None:
        """The newest checkpoint and the history up to it, or None if the run was killed before its first.

        Rows after the checkpoint are cut from the file: the run makes them again.
        """
        history = self.path / "history.csv"
        rows = []
        found = None
        if self.checkpoints.latest is not None:
            sim, progress = self.checkpoints.restore(like)
            rows = [row for row in read_csv(history) if row["round"] <= int(sim.t)][: progress["rows"]]
            found = sim, progress, rows
        replacement = self.path / "history.csv.new"
        replacement.unlink(missing_ok=True)
        replacement.touch()
        for row in rows:
            append_csv(replacement, row)
        os.replace(replacement, history)
        return found

    def summary(self, summary: dict[str, Any]) -> None:
        """Write summary.json."""
        self._write("summary.json", summary)

    def _write(self, name: str, content: dict[str, Any]) -> None:
        part = self.path / f"{name}.part"
        part.write_text(json.dumps(content, indent=2) + "\n")
        os.replace(part, self.path / name)  # never a half-written file

    def close(self) -> None:
        """Let go of the directory."""
        self.checkpoints.close()
