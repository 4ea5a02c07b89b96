"""Nodes that are awake at some hours of their day, over any schedule between peers."""

from __future__ import annotations

from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.schedule.wrapping import Wrapping, asleep, of_rows, peers_only, talking
from jdl.topology import Topology
from jdl.types import Key, Plan, Schedule, ScheduleState, Seen, number

__all__ = ["Diurnal"]


@struct.dataclass
class Diurnal(Wrapping):
    """Every node is awake for a share of its day, and days begin at an hour that differs from node to node.

    Node i is awake in round t if the fractional part of t / period + phase_i is below `share`. A sleeper keeps its
    state, as in `Sleeping`.

    Sends:
      what the schedule sends, between nodes that are awake.

    Args:
      schedule: who talks, between peers.
      phase: f[n], the part of its day that each node has behind it in round 0, 0 to 1.
      period: rounds of a day, more than 0; a leaf.
      share: share of the day for which a node is awake, 0 to 1; a leaf.
    """

    schedule: Schedule
    phase: jax.Array
    period: float | jax.Array = number(24.0, minimum=1e-6)
    share: float | jax.Array = number(0.5, minimum=0, maximum=1)

    @classmethod
    def of(
        cls, schedule: Schedule | Topology, period: float = 24.0, share: float = 0.5, spread: float = 1.0, seed: int = 0
    ) -> Self:
        """Nodes whose days begin at random hours: see `Diurnal`.

        Args:
          schedule: who talks, between peers: a schedule, or a topology for all of its links in every round.
          period: rounds of a day, more than 0.
          share: share of the day for which a node is awake, 0 to 1.
          spread: how far hours differ, 0 to 1: phases are uniform on 0 to `spread`; 0 for one time zone, 1 for the
            whole earth.
          seed: seed of the phases.

        >>> from jdl.schedule import Matching
        >>> talk = Diurnal.of(Matching(4), period=4, share=0.5, spread=0)
        >>> import jax
        >>> [int(talk((), t, jax.random.key(0))[0].active.sum()) for t in range(6)]
        [4, 4, 0, 0, 4, 4]
        """
        schedule = talking(schedule)
        checks.bounded("spread", spread, 0, 1, 1.0)
        phase = spread * np.random.default_rng(checks.whole("seed", seed, 0)).random(schedule.n)
        return cls(schedule=schedule, phase=jnp.asarray(phase, jnp.result_type(float)), period=period, share=share)

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The plan of the schedule without those for whom it is night in round t."""
        full, memory = self.schedule(memory, t, key, seen)
        day = jnp.asarray(t, self.phase.dtype) / self.period + self.phase
        awake = of_rows(full, day - jnp.floor(day) < self.share)
        return asleep(peers_only(self, full), awake), memory
