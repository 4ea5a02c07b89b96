"""Save and restore a run. orbax writes the state and the progress of a round in one atomic step."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from pathlib import Path
from typing import Any

import jax

from jdl import checks
from jdl.types import PyTree

__all__ = ["Checkpoints"]

FILES = "files.json"
READ_BYTES = 1024**2  # files are as large as the state, and are read in parts
# What fields of the state were called in checkpoints of older versions, and are called.
RENAMED = {".talk": ".schedule_state", ".link": ".exchange_state"}


class Checkpoints:
    """The checkpoints of one run.

    The newest two are kept, so that a crash during the writing of one leaves the one before.

    Args:
      directory: the directory of the checkpoints.
      read_only: whether nothing is written, perhaps since another process writes there.
    """

    def __init__(self, directory: Path, read_only: bool = False):
        import orbax.checkpoint as ocp

        self._ocp = ocp
        self._directory = directory.absolute()
        how = {"create": False} if read_only else self._here()
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False, **how)
        self._manager = ocp.CheckpointManager(self._directory, options=options)

    def _here(self) -> dict[str, Any]:
        """What tells orbax that this process writes alone, where several simulate together."""
        if jax.process_count() == 1:
            return {}
        self._directory.mkdir(parents=True, exist_ok=True)  # orbax refuses to make it for one of several processes
        here = jax.process_index()
        alone = self._ocp.options.MultiprocessingOptions(
            primary_host=here, active_processes={here}, barrier_sync_key_prefix=f"jdl_{here}"
        )
        return {"multiprocessing_options": alone, "create": False}

    @property
    def steps(self) -> list[int]:
        """The rounds of the complete checkpoints, the newest first."""
        return sorted(self._manager.all_steps(), reverse=True)

    def save(self, step: int, sim: PyTree, progress: dict[str, Any]) -> None:
        """Write a checkpoint, and return when it is on disk.

        Args:
          step: the round.
          sim: the state.
          progress: what else the run needs to continue, as JSON.
        """
        args, state = self._ocp.args, _named(sim)
        beside = {"progress": progress, "shapes": {name: _shape(state, name) for name in state}}
        items = args.Composite(state=args.StandardSave(state), progress=args.JsonSave(beside))
        if step not in self.steps[:1]:
            self._manager.save(step, args=items, force=True)
            self._note_files(step)

    def restore(self, step: int, like: PyTree) -> tuple[PyTree, dict[str, Any]]:
        """Read the checkpoint of a round.

        Args:
          step: the round.
          like: the state, or its shapes, whose structure the result has.

        Returns:
          The state and the progress.

        Raises:
          InputError: if the checkpoint belongs to another configuration.
          Exception: of any type, if the checkpoint is damaged.
        """
        self._check_files(step)
        args = self._ocp.args
        saved = self._manager.restore(step, args=args.Composite(progress=args.JsonRestore()))["progress"]
        target = {name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for name, leaf in _named(like).items()}
        names = {_renewed(name): name for name in saved["shapes"]}
        shapes = {name: saved["shapes"][was] for name, was in names.items()}
        odd = [name for name in sorted(shapes.keys() | target) if shapes.get(name) != _shape(target, name)]
        checks.require(
            not odd,
            f"got a checkpoint of another configuration (it differs in {', '.join(odd[:2])}), need that of this run; "
            "start anew in another directory",
        )
        asked = args.StandardRestore({names[name]: leaf for name, leaf in target.items()})
        got = self._manager.restore(step, args=args.Composite(state=asked))["state"]
        leaves, structure = jax.tree_util.tree_flatten_with_path(like)
        state = [got[names[jax.tree_util.keystr(path)]] if leaf.size else leaf for path, leaf in leaves]
        return structure.unflatten(state), saved["progress"]

    def _note_files(self, step: int) -> None:
        """Write the size and the checksum of every file of a checkpoint, so that damage is found before orbax reads."""
        folder = self._directory / str(step)
        files = {str(path.relative_to(folder)): _sum(path) for path in sorted(folder.rglob("*")) if path.is_file()}
        part = folder / f"{FILES}.part"
        part.write_text(json.dumps(files))
        os.replace(part, folder / FILES)

    def _check_files(self, step: int) -> None:
        """Check sizes and checksums. A run that was killed before it wrote them has none to check.

        Raises:
          ValueError: if a file is missing or has changed.
        """
        folder = self._directory / str(step)
        if not (folder / FILES).exists():
            return
        for name, was in json.loads((folder / FILES).read_text()).items():
            if not (folder / name).is_file():
                raise ValueError(f"{name} is missing")
            if _sum(folder / name) != was:
                raise ValueError(f"{name} has changed since it was saved")

    def forget(self, step: int) -> None:
        """Remove a checkpoint, complete or damaged."""
        shutil.rmtree(self._directory / str(step), ignore_errors=True)
        self._manager.reload()

    def close(self) -> None:
        """Close the directory."""
        self._manager.close()


def _named(sim: PyTree) -> dict[str, Any]:
    """The leaves by path, without empty arrays, which hold nothing to save and which orbax refuses."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(sim) if leaf.size}


def _renewed(name: str) -> str:
    """The path of a leaf as this version writes it."""
    for before, now in RENAMED.items():
        if name == before or name.startswith((f"{before}[", f"{before}.")):
            return now + name[len(before) :]
    return name


def _shape(leaves: dict[str, Any], name: str) -> str | None:
    return f"{leaves[name].dtype}{list(leaves[name].shape)}" if name in leaves else None


def _sum(path: Path) -> list[int]:
    size, checksum = 0, 0
    with path.open("rb") as file:
        while part := file.read(READ_BYTES):
            size, checksum = size + len(part), zlib.crc32(part, checksum)
    return [size, checksum]
