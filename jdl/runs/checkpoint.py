"""Save and restore a run: the state by orbax, and beside it the history so far, in one atomic step."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from pathlib import Path
from typing import Any

import jax

from jdl import checks
from jdl.engine.sim import RunState

__all__ = ["Checkpoints"]

FILES = "files.json"


class Checkpoints:
    """The checkpoints of one run, newest two kept: a crash while one is written leaves the one before."""

    def __init__(self, directory: Path):
        import orbax.checkpoint as ocp

        self._ocp = ocp
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        self._directory = directory.absolute()
        self._manager = ocp.CheckpointManager(self._directory, options=options)

    @property
    def steps(self) -> list[int]:
        """The rounds of the finished checkpoints, the newest first."""
        return sorted(self._manager.all_steps(), reverse=True)

    def save(self, sim: RunState, progress: dict[str, Any]) -> None:
        """Write the state and `progress` (JSON); returns when both are on disk."""
        args, state = self._ocp.args, _named(sim)
        beside = {"progress": progress, "shapes": {name: _shape(state, name) for name in state}}
        items = args.Composite(state=args.StandardSave(state), progress=args.JsonSave(beside))
        if int(sim.t) not in self.steps[:1]:
            self._manager.save(int(sim.t), args=items, force=True)
            self._note_files(int(sim.t))

    def restore(self, step: int, like: RunState) -> tuple[RunState, dict[str, Any]]:
        """The state of round `step`, in the structure of `like` (arrays or shapes), and its progress.

        Raises:
          InputError: if the checkpoint is of another configuration.
          Exception: of any kind, if it is damaged.
        """
        self._check_files(step)
        args = self._ocp.args
        saved = self._manager.restore(step, args=args.Composite(progress=args.JsonRestore()))["progress"]
        target = {name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for name, leaf in _named(like).items()}
        odd = [
            name
            for name in sorted(saved["shapes"].keys() | target)
            if saved["shapes"].get(name) != _shape(target, name)
        ]
        checks.require(
            not odd,
            f"got a checkpoint of another configuration (it differs in {', '.join(odd[:2])}), need that of this run; "
            "start anew in another directory",
        )
        got = self._manager.restore(step, args=args.Composite(state=args.StandardRestore(target)))["state"]
        leaves, structure = jax.tree_util.tree_flatten_with_path(like)
        state = [got[jax.tree_util.keystr(path)] if leaf.size else leaf for path, leaf in leaves]
        return structure.unflatten(state), saved["progress"]

    def _note_files(self, step: int) -> None:
        """Keep size and checksum of every file of a finished checkpoint, so that damage is seen before orbax reads."""
        folder = self._directory / str(step)
        files = {str(path.relative_to(folder)): _sum(path) for path in sorted(folder.rglob("*")) if path.is_file()}
        part = folder / f"{FILES}.part"
        part.write_text(json.dumps(files))
        os.replace(part, folder / FILES)

    def _check_files(self, step: int) -> None:
        """Raise ValueError if a file is missing or changed. A checkpoint killed before its note was made has none."""
        folder = self._directory / str(step)
        if not (folder / FILES).exists():
            return
        for name, was in json.loads((folder / FILES).read_text()).items():
            if not (folder / name).is_file():
                raise ValueError(f"{name} is missing")
            if _sum(folder / name) != was:
                raise ValueError(f"{name} is not what was saved")

    def forget(self, step: int) -> None:
        """Remove a checkpoint, whole or damaged."""
        shutil.rmtree(self._directory / str(step), ignore_errors=True)
        self._manager.reload()

    def close(self) -> None:
        """Let go of the directory."""
        self._manager.close()


def _named(sim: RunState) -> dict[str, Any]:
    """Leaves by path. Empty arrays hold nothing to save, and orbax refuses them."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(sim) if leaf.size}


def _shape(leaves: dict[str, Any], name: str) -> str | None:
    return f"{leaves[name].dtype}{list(leaves[name].shape)}" if name in leaves else None


def _sum(path: Path) -> list[int]:
    content = path.read_bytes()
    return [len(content), zlib.crc32(content)]
