"""Steps whose times were measured."""

from __future__ import annotations

import os
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.clock.steps.device_files import read_seconds
from jdl.types import Key

__all__ = ["Recorded"]


@struct.dataclass
class Recorded:
    """The time of a step is read from a table, which begins again after its last row.

    Args:
      table: f[T, n], the seconds of a step of each node in each of T rounds, not negative.

    Raises:
      InputError: if the table has another shape, or a time is negative or no number; it names the round and the node.

    >>> Recorded(np.array([[0.1, 0.2], [0.3, 0.4]])).seconds(3, None, 2).tolist()
    [0.30000001192092896, 0.4000000059604645]
    """

    table: jax.Array

    def __post_init__(self) -> None:
        if not isinstance(self.table, np.ndarray | list | tuple):
            return  # JAX makes parts of other objects, and arrays on a device are checked when a simulation is built
        need = "need seconds [rounds, nodes]; give one row for each round"
        try:
            table = np.asarray(self.table, float)
        except (TypeError, ValueError) as error:
            raise checks.InputError(f"got a table that is none of numbers in rows of one length, {need}") from error
        checks.require(table.ndim == 2 and table.size > 0, f"got a table of shape {table.shape}, {need}")
        wrong = np.argwhere(~(np.isfinite(table) & (table >= 0)))
        if len(wrong):
            t, i = wrong[0]
            at = f"round {t}, node {i}"
            checks.require(False, f"got {table[t, i]} seconds at {at}, need times of at least 0; correct the table")
        object.__setattr__(self, "table", jnp.asarray(table, jnp.float32))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], n: int) -> Self:
        """Times from a CSV file with lines `node,seconds` or `round,node,seconds`.

        Args:
          path: the file.
          n: number of nodes, at least 1; all from 0 to n - 1 occur in every round.

        Raises:
          InputError: if a time is negative, rounds are out of order, or a node is missing; it names the line.
        """
        return cls(read_seconds(path, n))

    def seconds(self, t: jax.Array, key: Key, n: int) -> jax.Array:
        rounds, nodes = self.table.shape
        checks.require(nodes == n, f"got times of {nodes} nodes with n={n}, need one column a node; give n={n} columns")
        return self.table[jnp.asarray(t, jnp.int32) % rounds]
