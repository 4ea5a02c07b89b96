"""Models in files as the start of a run: arrays are matched by name with those of the problem's model."""

from __future__ import annotations

import os
from typing import Any

import jax
import numpy as np

from jdl import checks
from jdl.engine.sim import Simulation
from jdl.runs.model_files import arrays_in
from jdl.types import PyTree

__all__ = ["start_of"]


def start_of(simulation: Simulation, params: PyTree | str | os.PathLike[str]) -> PyTree:
    """The initial models: those of a file, or the ones that are given.

    A file may come from a run of jdl or from elsewhere. Names of arrays are paths in the model, such as
    `params/Dense_0/kernel`, with "." or "/" between their parts; a "params" at the start may be missing.

    Args:
      simulation: the composed simulation.
      params: a pytree of arrays, or the name of a `.npz` or `.safetensors` file.

    Returns:
      A pytree with the structure and the types of the problem's model, of one model or of one for each node,
      `[n, ...]`; `params` itself if it is not the name of a file.

    Raises:
      InputError: if the file cannot be read, if it lacks an array or has others, or if an array has another shape.
    """
    if not isinstance(params, str | os.PathLike):
        return params
    problem = simulation.problem
    found = {_plain(name): array for name, array in arrays_in(params).items()}
    places, structure = jax.tree_util.tree_flatten_with_path(jax.eval_shape(problem.init, jax.random.key(0)))
    wanted = {
        _plain(jax.tree_util.keystr(place, simple=True, separator="/") or "model"): leaf for place, leaf in places
    }
    got = f"got params={os.fspath(params)!r}"
    missing, more = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    need = f"need the arrays of the problem's model: {_listed(wanted)}"
    checks.require(not missing, f"{got} without {_listed(missing)}, {need}; rename those of the file: {_listed(found)}")
    checks.require(not more, f"{got} with {_listed(more)} as well, {need}; leave the others out")
    if all(found[name].shape == (1, *leaf.shape) for name, leaf in wanted.items()):  # a run with a server saves one
        found = {name: array[0] for name, array in found.items()}
    for name, leaf in wanted.items():
        shapes = (leaf.shape, (problem.n, *leaf.shape))
        wrong = f"{got}, whose {name} has the shape {found[name].shape}"
        fitting = f"need {shapes[0]}, or {shapes[1]} for all {problem.n} nodes; take the model of this file"
        checks.require(found[name].shape in shapes, f"{wrong}, {fitting}")
    one = {name: found[name].shape == leaf.shape for name, leaf in wanted.items()}
    # An array [n] may be both; where all others are of one model, it is, too.
    each = not all(one.values())
    mixed = [name for name, leaf in wanted.items() if each and found[name].shape != (problem.n, *leaf.shape)]
    whole = "need one model, or one for each node, in all arrays; repeat these for the nodes"
    checks.require(not mixed, f"{got}, whose {_listed(mixed)} are those of one model and others of all nodes, {whole}")
    return structure.unflatten([_as_type(got, name, found[name], leaf) for name, leaf in wanted.items()])


def _plain(name: str) -> str:
    """A name with "/" between its parts, and without the collection."""
    return name.replace(".", "/").removeprefix("params/")


def _listed(names: Any) -> str:
    names = list(names)
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _as_type(got: str, name: str, array: np.ndarray, like: jax.ShapeDtypeStruct) -> np.ndarray:
    kinds = np.issubdtype(array.dtype, np.number) or array.dtype.name == "bfloat16"
    checks.require(kinds, f"{got}, whose {name} is of type {array.dtype}, need numbers; write it anew")
    return array.astype(like.dtype)
