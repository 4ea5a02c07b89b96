"""Save and restore a run: the state by orbax, and beside it the history so far, in one atomic step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax

from jdl import checks
from jdl.sim import Sim

__all__ = ["Checkpoints"]


class Checkpoints:
    """The checkpoints of one run, newest two kept: a crash while one is written leaves the one before."""

    def __init__(self, directory: Path):
        import orbax.checkpoint as ocp

        self._ocp = ocp
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(directory.absolute(), options=options)

    @property
    def latest(self) -> int | None:
        """The round of the newest finished checkpoint."""
        return self._manager.latest_step()

    def save(self, sim: Sim, progress: dict[str, Any]) -> None:
        """Write the state and `progress` (JSON); returns when both are on disk."""
        args, state = self._ocp.args, _named(sim)
        beside = {"progress": progress, "shapes": {name: _shape(state, name) for name in state}}
        items = args.Composite(state=args.StandardSave(state), progress=args.JsonSave(beside))
        if self.latest != int(sim.t):
            self._manager.save(int(sim.t), args=items, force=True)

    def restore(self, like: Sim) -> tuple[Sim, dict[str, Any]]:
        """The newest state, in the structure of `like` (arrays or shapes), and its progress.

        Raises:
          InputError: the checkpoint is of another configuration.
        """
        args, step = self._ocp.args, self.latest
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
            "give another --out",
        )
        got = self._manager.restore(step, args=args.Composite(state=args.StandardRestore(target)))
        leaves, structure = jax.tree_util.tree_flatten_with_path(like)
        state = [got["state"][jax.tree_util.keystr(path)] if leaf.size else leaf for path, leaf in leaves]
        return structure.unflatten(state), saved["progress"]

    def close(self) -> None:
        """Let go of the directory."""
        self._manager.close()


def _named(sim: Sim) -> dict[str, Any]:
    """Leaves by path. Empty arrays hold nothing to save, and orbax refuses them."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(sim) if leaf.size}


def _shape(leaves: dict[str, Any], name: str) -> str | None:
    return f"{leaves[name].dtype}{list(leaves[name].shape)}" if name in leaves else None
