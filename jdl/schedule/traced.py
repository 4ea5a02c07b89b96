"""Nodes that are there when a table says so, over any schedule between peers."""

from __future__ import annotations

import os
from typing import Self

import jax
import jax.numpy as jnp
from flax import struct

from jdl.schedule.trace_files import read_trace
from jdl.schedule.wrapping import Wrapping, asleep, of_rows, peers_only
from jdl.types import Key, Plan, Schedule, ScheduleState, Seen

__all__ = ["Traced"]


@struct.dataclass
class Traced(Wrapping):
    """A table says which nodes are there in each round; the others are asleep, as in `Sleeping`.

    The table begins again after its last row. It is a schedule of peers; for the workers of a server see
    `Availability.from_trace`.

    Sends:
      what the schedule sends, between nodes that are there.

    Args:
      schedule: who talks, between peers; for a graph `Fixed.of(topology)`.
      table: bool[T, n], who is there in round t mod T.
    """

    schedule: Schedule
    table: jax.Array

    @classmethod
    def from_trace(
        cls,
        schedule: Schedule,
        path: str | os.PathLike[str],
        seconds_per_round: float = 600.0,
        rounds: int | None = None,
    ) -> Self:
        """Nodes that are there when a file says so, at the beginning of each round.

        Args:
          schedule: who talks, between peers; for a graph `Fixed.of(topology)`.
          path: a table of intervals or a trace of FedScale, see `jdl.schedule.read_trace`.
          seconds_per_round: the length of a round, more than 0.
          rounds: the number T of rounds after which the table repeats; None for as many as cover the file.

        Raises:
          InputError: as `jdl.schedule.read_trace`.
        """
        return cls(schedule=schedule, table=jnp.asarray(read_trace(path, schedule.n, seconds_per_round, rounds)))

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The plan of the schedule without those that are not there in round t."""
        full, memory = self.schedule(memory, t, key, seen)
        return asleep(peers_only(self, full), of_rows(full, self.table[t % self.table.shape[0]])), memory
