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

__all__ = ["RunDir", "free_name"]


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
            checks.require(config_file.exists(), f"got run directory {self.path}, which holds no config.json; name the directory of a run")
            was = json.loads(config_file.read_text())
            odd = [text for key in ("run", "simulation") for text in differences(was[key], json.loads(json.dumps(config[key])), key)]
            checks.require(
                not odd,
                f"got a run directory of another configuration: {'; '.join(odd[:3])}; need the same to resume; "
                f"start anew with another --out, or restore what was",
            )
        else:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                taken = any(self.path.iterdir())
                checks.require(
                    not taken,
                    f"got out={self.path}, which is not empty, need a new directory; resume the run in it with "
                    f"`jdl resume {self.path}`, or give another --out",
                )
                self._write("config.json", config)
            except OSError as error:
                raise checks.InputError(
                    f"got out={self.path}, need a directory that can be written ({error.strerror}); give another --out"
                ) from error
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
