"""A server whose workers come and go."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.schedule.trace_files import read_trace
from jdl.types import Key, Plan, ScheduleState, Seen, Server, number, static

__all__ = ["Availability"]


@struct.dataclass
class Availability:
    """A server with a changing number of workers: absent ones send nothing and keep what they have.

    A worker that is back goes on with its own state, the optimizer's say, and with the server's new model. A round in
    which nobody is there is a mean change of zero. What arrives is averaged over those who are there.

    Sends:
      1 message a worker that is there, to the server.

    Args:
      table: bool[T, n], who can be there in round t; its last row holds from round T - 1 on.
      probability: of each of these to be there, 0 to 1; a leaf.
      repeats: whether the table begins again after its last row instead.

    References:
      Douillard, Feng, Rusu, Chhaparia, Donchev, Kuncoro, Ranzato, Szlam, Shen, "DiLoCo: Distributed Low-Communication
      Training of Language Models", 2023: the adaptive compute pool. (Their dropped messages, after which a worker goes
      on alone, are another thing; for messages that are lost see `jdl.exchange.Lossy`.)
    """

    table: jax.Array
    probability: float | jax.Array = number(1.0, minimum=0, maximum=1)
    repeats: bool = static(False)

    @classmethod
    def for_nodes(cls, n: int, alive: float | Sequence[int] | np.ndarray) -> Self:
        """Workers that are there with a probability, in given numbers, or by a table.

        Args:
          n: number of nodes, at least 1.
          alive: who is there: a probability, of each worker in each round; or how many in round 0, 1, ..., `[T]` whole
            numbers, the first ones; or who, `bool[T, n]`. After round T - 1 its last entry holds.

        >>> import jax
        >>> pool = Availability.for_nodes(4, alive=[4, 2, 1])
        >>> [int(pool((), t, jax.random.key(t))[0].links.used.sum()) for t in range(5)]
        [4, 2, 1, 1, 1]
        """
        n = checks.whole("n", n, 1)
        if isinstance(alive, float | int | jax.Array) and np.ndim(alive) == 0 and not isinstance(alive, bool):
            return cls(table=jnp.ones((1, n), bool), probability=alive)
        table = np.asarray(alive)
        need = f"got alive of shape {table.shape} and type {table.dtype}, need a probability, [T] whole numbers or bool"
        if table.ndim == 1 and table.size and np.issubdtype(table.dtype, np.integer):
            counts = f"got alive with {table.min()} to {table.max()} of n={n}, need 0 to n workers; try at most {n}"
            checks.require(bool(np.all((table >= 0) & (table <= n))), counts)
            table = np.arange(n)[None, :] < table[:, None]
        good = table.ndim == 2 and table.shape[0] > 0 and table.shape[1] == n and table.dtype == bool
        checks.require(good, f"{need}[T, {n}]; try alive=0.9")
        return cls(table=jnp.asarray(table), probability=1.0)

    @classmethod
    def from_trace(
        cls, path: str | os.PathLike[str], n: int, seconds_per_round: float = 600.0, rounds: int | None = None
    ) -> Self:
        """Workers that are there when a file says so, at the beginning of each round.

        Args:
          path: a table of intervals or a trace of FedScale, see `jdl.schedule.read_trace`.
          n: number of nodes, at least 1.
          seconds_per_round: the length of a round, more than 0.
          rounds: the number T of rounds after which the table repeats; None for as many as cover the file.

        Raises:
          InputError: as `jdl.schedule.read_trace`.
        """
        return cls(table=jnp.asarray(read_trace(path, n, seconds_per_round, rounds)), probability=1.0, repeats=True)

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.table.shape[1]

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The workers of round t of which `key` says that they are there."""
        rows = self.table.shape[0]
        there = self.table[t % rows if self.repeats else jnp.minimum(t, rows - 1)]
        there = there & jax.random.bernoulli(key, self.probability, (self.n,))
        weights = there.astype(jnp.result_type(float))
        plan = Plan(
            links=Server(weights=weights, used=there),
            self_weights=jnp.zeros_like(weights),
            active=there,
            stochastic="row",
        )
        return plan, memory
