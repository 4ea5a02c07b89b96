"""Which numbers of the state of a run depend on the models, and the map between them and one vector."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jdl.engine.state import RunState
from jdl.types import PyTree

__all__ = ["Packing", "discrete_leaves", "packing_of"]

# What nodes, the server, exchanges and oracles hold. The rest of a state counts and schedules.
FIELDS = ("nodes", "server", "exchange_state", "down_state", "oracle_state")
# Counters that no model depends on, in rounds whose batches are drawn anew.
COUNTERS = ("count", "traffic", "status", "seen")


class Packing(NamedTuple):
    """The map between the leaves of a state that depend on the models and one vector.

    Attributes:
      places: the numbers of these leaves in `jax.tree.leaves(state)`.
      shapes: their shapes.
    """

    places: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> int:
        """The number D of entries of the vector."""
        return sum(int(np.prod(shape)) for shape in self.shapes)

    def vector(self, state: RunState) -> jax.Array:
        """The leaves in one vector, f[D]."""
        leaves = jax.tree.leaves(state)
        return jnp.concatenate([leaves[place].reshape(-1) for place in self.places])

    def state(self, vector: jax.Array, like: RunState) -> RunState:
        """The state with these leaves, and all others as in `like`."""
        leaves, structure = jax.tree.flatten(like)
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])[:-1]
        for place, part, shape in zip(self.places, jnp.split(vector, ends), self.shapes, strict=True):
            leaves[place] = part.reshape(shape).astype(leaves[place].dtype)
        return structure.unflatten(leaves)


def packing_of(states: RunState) -> Packing:
    """Which leaves differ between runs, and so depend on the start or on noise.

    A real number that is equal in all runs is known in advance, whatever the models are: the weights of push-sum on a
    fixed graph are such numbers, and a method may divide by them.

    Args:
      states: the states of several runs that differ in their start and noise, leaves `[run, round, ...]`.
    """
    places, shapes = [], []
    fields = [path[0].name for path, _ in jax.tree_util.tree_leaves_with_path(states)]
    for place, (field, leaf) in enumerate(zip(fields, jax.tree.leaves(states), strict=True)):
        real = jnp.issubdtype(leaf.dtype, jnp.floating)
        if field in FIELDS and real and not np.array_equal(leaf, np.broadcast_to(leaf[:1], leaf.shape)):
            places.append(place)
            shapes.append(leaf.shape[2:])
    return Packing(tuple(places), tuple(shapes))


def discrete_leaves(states: PyTree, packing: Packing) -> list[tuple[str, np.ndarray]]:
    """The other leaves that a round may read, each with its name, leaves `[run, round, ...]`."""
    named = []
    for place, (path, leaf) in enumerate(jax.tree_util.tree_leaves_with_path(states)):
        if place not in packing.places and path[0].name not in COUNTERS:
            named.append((jax.tree_util.keystr(path).removeprefix("."), np.asarray(leaf)))
    return named
