"""Save and restore a run: the state by orbax, and beside it the history so far, in one atomic step."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jdl import checks
from jdl.engine.sim import RunState

__all__ = ["Checkpoints"]


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
        sums = {name: _sum(leaf) for name, leaf in state.items()}
        beside = {"progress": progress, "shapes": {name: _shape(state, name) for name in state}, "sums": sums}
        items = args.Composite(state=args.StandardSave(state), progress=args.JsonSave(beside))
        if int(sim.t) not in self.steps[:1]:
            self._manager.save(int(sim.t), args=items, force=True)

    def restore(self, step: int, like: RunState) -> tuple[RunState, dict[str, Any]]:
        """The state of round `step`, in the structure of `like` (arrays or shapes), and its progress.

        Raises:
          InputError: if the checkpoint is of another configuration.
          Exception: of any kind, if it is damaged.
        """
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
        # Checkpoints of before have no sums.
        changed = [name for name, was in saved.get("sums", {}).items() if _sum(got[name]) != was]
        if changed:
            raise ValueError(f"{changed[0]} is not what was saved")
        leaves, structure = jax.tree_util.tree_flatten_with_path(like)
        state = [got[jax.tree_util.keystr(path)] if leaf.size else leaf for path, leaf in leaves]
        return structure.unflatten(state), saved["progress"]

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


def _sum(leaf: Any) -> int:
    """Of all bytes of an array: what a disk changes by itself is found."""
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return zlib.crc32(np.ascontiguousarray(leaf).tobytes())
