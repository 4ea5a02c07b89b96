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
        args = self._ocp.args
        self._manager.save(
            int(sim.t),
            args=args.Composite(state=args.StandardSave(_named(sim)), progress=args.JsonSave(progress)),
            force=True,
        )

    def restore(self, like: Sim) -> tuple[Sim, dict[str, Any]]:
        """The newest state, in the structure of `like` (arrays or shapes), and its progress.

        Raises:
          InputError: the checkpoint is of another configuration.
        """
        args, step = self._ocp.args, self.latest
        target = {name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for name, leaf in _named(like).items()}
        saved = self._manager.item_metadata(step)["state"]
        found = {name: (tuple(leaf.shape), str(leaf.dtype)) for name, leaf in dict(saved).items()}
        needed = {name: (leaf.shape, str(leaf.dtype)) for name, leaf in target.items()}
        odd = sorted(set(found.items()) ^ set(needed.items()))
        checks.require(
            not odd, f"got a checkpoint of another configuration (it differs in {odd[:2]}), need that of this run; give another --out"
        )
        got = self._manager.restore(
            step, args=args.Composite(state=args.StandardRestore(target), progress=args.JsonRestore())
        )
        leaves, structure = jax.tree_util.tree_flatten_with_path(like)
        state = [got["state"][jax.tree_util.keystr(path)] if leaf.size else leaf for path, leaf in leaves]
        return structure.unflatten(state), got["progress"]

    def close(self) -> None:
        """Let go of the directory."""
        self._manager.close()


def _named(sim: Sim) -> dict[str, Any]:
    """Leaves by path. Empty arrays hold nothing to save, and orbax refuses them."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(sim) if leaf.size}
