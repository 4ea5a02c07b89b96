"""The user's own metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl import checks
from jdl.engine.metrics.chosen import COLUMNS, EVALUATED, PER_NODE
from jdl.engine.metrics.statistics import over_nodes
from jdl.types import PyTree

__all__ = ["users"]


def users(
    functions: tuple[tuple[str, Callable[..., Any]], ...],
    models: PyTree,
    state: Any,
    simulation: Any,
    honest: jax.Array | None = None,
) -> dict[str, jax.Array]:
    """Compute the user's own metrics.

    Args:
      functions: pairs of a name and a function `(models, state, simulation) -> f[] or f[n]`.
      models: the models, `[n, ...]`, or a server's model, `[1, ...]`.
      state: the state of the run, a `RunState`.
      simulation: what is simulated.
      honest: bool[n], the nodes that the statistics count; None for all.

    Returns:
      A number f[] under its name; numbers f[n] as `nodes/NAME`, and their `mean_NAME`, `std_NAME`, `min_NAME` and
      `max_NAME` over nodes.

    Raises:
      InputError: if a function returns anything else, or if two of these names are the same.
    """
    n, row = simulation.problem.n, {}
    for name, function in functions:
        value = function(models, state, simulation)
        need = f"need one real number, or one for each of {n} nodes; return an array of shape () or ({n},)"
        number = isinstance(value, jax.Array | np.ndarray | np.generic | bool | int | float)
        checks.require(number, f"got metric {name!r} that returns {type(value).__name__}, {need}")
        value = jnp.asarray(value)
        checks.require(
            value.shape in ((), (n,)) and value.dtype.kind in "fiub",
            f"got metric {name!r} of shape {value.shape} and type {value.dtype}, {need}",
        )
        if value.dtype.kind != "f":
            value = jax.lax.convert_element_type(value, jnp.result_type(float))
        found = {name: value}
        if value.ndim:
            names = (f"{of}_{name}" for of in ("mean", "std", "min", "max"))
            found = {f"{PER_NODE}{name}": value, **dict(zip(names, over_nodes(value, honest), strict=True))}
        twice = " and ".join(sorted(found.keys() & {*row, *COLUMNS, EVALUATED}))
        checks.require(not twice, f"got metric {name!r}, whose column {twice} exists already; choose another name")
        row |= found
    return row
