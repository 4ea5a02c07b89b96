"""From a function of one node to a function of all rows: vmap, a chunked map, or a Python loop that names the node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["Mapping", "over_nodes"]

# "vmap", the number of nodes at a time, or "loop"
Mapping = str | int


def over_nodes(function: Callable[..., Any], mapping: Mapping, what: str) -> Callable[..., Any]:
    """`function(row, ...)` mapped over the leading axis of all its arguments.

    Args:
      function: of one node.
      mapping: "vmap" for all nodes at once; a number c for c at a time (memory of c nodes' activations); "loop" for
        a Python loop: with `jax.disable_jit()` an error, or the first number that is not finite, names its node.
      what: the name of the step, for those errors.
    """
    if mapping == "vmap":
        return jax.vmap(function)
    if mapping == "loop":
        return _loop(function, what)
    return lambda *rows: jax.lax.map(lambda row: function(*row), rows, batch_size=mapping)


def _loop(function: Callable[..., Any], what: str) -> Callable[..., Any]:
    def looped(*rows):
        outs = []
        for i in range(jax.tree.leaves(rows)[0].shape[0]):
            own = jax.tree.map(lambda x, i=i: x[i], rows)
            try:
                outs.append(function(*own))
            except Exception as error:
                error.add_note(f"jdl: in `{what}` of row {i}{_round(own)}")
                raise
            _finite(outs[-1], own, f"`{what}` of row {i}{_round(own)}")
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *outs)

    return looped


def _round(own: Any) -> str:
    """Which node and round, where the values are concrete."""
    row = own[0]
    if not isinstance(row, dict) or isinstance(row["id"], jax.core.Tracer):
        return ""
    return f" (node {int(row['id'])}, round {int(row['t'])})"


def _finite(out: Any, own: Any, where: str) -> None:
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(out)):
        return

    def broken(tree):
        return any(
            jnp.issubdtype(leaf.dtype, jnp.floating) and not np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(tree)
        )

    if broken(out) and not broken(own):
        raise FloatingPointError(f"{where} made a number that is not finite out of finite ones; try a smaller rate")
