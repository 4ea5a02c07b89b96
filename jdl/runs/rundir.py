"""The run directory: configuration, history, metrics and facts of nodes, summary, models, checkpoint/, and a lock."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import jax

from jdl import checks
from jdl.runs.checkpoint import Checkpoints
from jdl.runs.configuration import as_json, same_configuration
from jdl.runs.history import Row, per_node
from jdl.runs.history_files import append_csv, append_nodes, join_nodes, read_nodes, read_rows
from jdl.runs.lock import Lock
from jdl.runs.model_files import save_models
from jdl.runs.node_facts import NodeFacts, write_facts
from jdl.runs.place import LOCK, Place
from jdl.tree import size_bits
from jdl.types import PyTree

__all__ = ["FACTS", "RunDir", "model_names"]

FACTS = "node_facts.npz"
# The models of all nodes that are written beside the checkpoint, which holds them too, are at most so large.
LARGE_BYTES = 2**30


def model_names(seeds: Sequence[int] | None) -> list[str]:
    """The names of the files of the models, one for the run of each seed."""
    return ["models.npz"] if seeds is None else [f"models-{seed}.npz" for seed in seeds]


class RunDir:
    """The files of one run, which no other run writes.

    Rows of the history are on disk before the checkpoint that refers to them. A run directory is a context manager: a
    run that fails before its first evaluation leaves no directory behind.

    Args:
      place: where the directory is, or will be made.
      config: the configuration of the run, as JSON.
      resume: whether the directory exists and holds this run.
      seeds: the seeds of the run, or None for a single one.
      axis: the name of the column of seeds.

    Raises:
      InputError: if the directory cannot be made, is not empty, is in use, or holds another run than the one to resume.
    """

    def __init__(
        self, place: Place, config: dict[str, Any], resume: bool, seeds: Sequence[int] | None = None, axis: str = "seed"
    ):
        self.fresh, self.path, self.seeds, self.axis = not resume, place.path, seeds, axis
        self.nodes = 0  # the number of nodes in nodes.csv, 0 without metrics of every node
        if resume:
            text = as_json(same_configuration(place, config))
            self.lock = Lock(self.path / LOCK, f"run directory {self.path}")
            if text != (self.path / "config.json").read_text():
                self._write("config.json", text)
        else:
            place.check()
            text = as_json(config)
            self.path = place.make()
            self.lock = Lock(self.path / LOCK, place.named)
            try:
                dataclasses.replace(place, path=self.path).check_empty()  # again, now that no other run can write
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
        """Append an evaluation to history.csv, and the metrics of every node to nodes.csv if there are any."""
        self.fresh = False
        self.nodes = max((value.shape[-1] for value in per_node(row).values()), default=0)
        append_nodes(self.path / "nodes.csv", row, self.seeds, self.axis)
        append_csv(self.path / "history.csv", row, self.seeds, self.axis)

    def save(self, t: int, state: PyTree, progress: dict[str, Any]) -> None:
        """Write the checkpoint of round `t`."""
        self.checkpoints.save(t, state, progress | {"nodes": self.nodes})

    def restore(self, like: PyTree) -> tuple[PyTree, dict[str, Any], list[Row]] | None:
        """Read the newest complete checkpoint, and the history up to it.

        Later rows are removed from history.csv, since the run computes them again. A checkpoint that cannot be read, or
        whose rows are not all in history.csv, is skipped with a note.

        Args:
          like: the state, or its shapes.

        Returns:
          The state, the progress that was saved with it, and the rows; None if the run was killed before its first
          checkpoint.

        Raises:
          InputError: if there are checkpoints and none of them can be used.
        """
        found, faults = None, {}
        kept = read_rows(self.path / "history.csv", self.seeds, self.axis)
        for step in self.checkpoints.steps:
            try:
                state, progress = self.checkpoints.restore(step, like)
            except checks.InputError:
                raise
            except Exception as error:  # orbax raises exceptions of many types for incomplete files
                faults[step] = f"the checkpoint of round {step} is damaged ({_first_line(error)})"
                continue
            rows, files = [row for row in kept if row["round"] <= step][: progress["rows"]], "history.csv has"
            needed = progress.get("needed", progress["rows"])
            if len(rows) >= needed and progress.get("nodes"):
                nodes = read_nodes(self.path / "nodes.csv", progress["nodes"], self.seeds, self.axis)
                rows, files = join_nodes(rows, nodes), "nodes.csv has"
            if len(rows) < needed:
                faults[step] = f"{files} {len(rows)} of the {progress['rows']} rows up to round {step}"
                continue
            self.nodes = progress.get("nodes", 0)
            found = state, progress, rows
            break
        what = "; ".join(faults.values())
        do = f"bring back the files, or delete {self.path / 'checkpoint'} to begin at round 0"
        checks.require(found is not None or not faults, f"got run directory {self.path}, of which {what}; {do}")
        if faults:
            checks.note(f"{what}; going on from round {step}")
            for step in faults:
                self.checkpoints.forget(step)
        self.rewrite(found[2] if found else [])
        return found

    def rewrite(self, rows: list[Row]) -> None:
        """Write history.csv and nodes.csv anew."""
        for name, append in (("nodes.csv", append_nodes), ("history.csv", append_csv)):
            replacement = self.path / f"{name}.new"
            replacement.unlink(missing_ok=True)
            replacement.touch()
            for row in rows:
                append(replacement, row, self.seeds, self.axis)
            if replacement.stat().st_size or name == "history.csv":
                os.replace(replacement, self.path / name)
            else:
                replacement.unlink()
                (self.path / name).unlink(missing_ok=True)

    def facts(self, facts: Sequence[NodeFacts]) -> None:
        """Write what does not change about the nodes, the same for all seeds or for the run of each."""
        if not (self.path / FACTS).exists():
            write_facts(self.path / FACTS, facts)

    def models(self, models: Sequence[Callable[[], PyTree]], rounds: Sequence[int]) -> None:
        """Write the models of the run of each seed, unless they are large: then they are in the checkpoint alone.

        Args:
          models: give those of each seed.
          rounds: the rounds that each has done.
        """
        for name, give, done in zip(model_names(self.seeds), models, rounds, strict=True):
            if size_bits(jax.eval_shape(give)) <= 8 * LARGE_BYTES:
                save_models(self.path / name, give(), round=done)
            else:
                (self.path / name).unlink(missing_ok=True)

    def summary(self, summary: dict[str, Any]) -> None:
        """Write summary.json."""
        self._write("summary.json", as_json(summary))

    def _write(self, name: str, text: str) -> None:
        part = self.path / f"{name}.part"
        part.write_text(text)
        os.replace(part, self.path / name)  # so that no half-written file has this name

    def close(self) -> None:
        """Close the checkpoints and release the lock."""
        self.checkpoints.close()
        self.lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
        if self.fresh and isinstance(error, Exception):
            for name in ("config.json", FACTS, "history.csv", "history.csv.new", "nodes.csv", "nodes.csv.new"):
                (self.path / name).unlink(missing_ok=True)
            shutil.rmtree(self.path / "checkpoint", ignore_errors=True)
            with contextlib.suppress(OSError):  # the directory holds files that are not of this run
                self.path.rmdir()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
