"""Communicate when models have come apart."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jdl.schedule.wrapping import Wrapping, muted, peers_only, remembered
from jdl.types import Key, Plan, Schedule, ScheduleState, Seen, number

__all__ = ["EventTriggered"]


@struct.dataclass
class EventTriggered(Wrapping):
    """Peers communicate in a round if the consensus distance after the last one exceeded a threshold.

    The distance is (1/n) sum_i ||x_i - xbar||^2; before the first round, which is silent, it counts as zero. Nodes
    could not know it without asking all others: this measures what such a rule could save, and is no protocol. What it
    would take to measure the distance is not counted as traffic.

    Sends:
      what the schedule sends, in the rounds in which it is used.

    Memory:
      that of the schedule, and how often it was used (i32[]).

    Args:
      schedule: who talks, between peers.
      threshold: least consensus distance, f[]; a leaf, so a sweep over it is one program.

    Raises:
      InputError: if the schedule is none. One with a server is refused when its first plan is made.

    >>> import jax
    >>> from jdl.schedule import Matching
    >>> from jdl.types import Seen
    >>> talk = EventTriggered(Matching(4), threshold=0.1)
    >>> memory = talk.init(jax.random.key(0))
    >>> apart = Seen({"consensus_distance": jax.numpy.float32(0.2)}, heard=None, roles=None)
    >>> int(talk(memory, 1, jax.random.key(1), apart)[0].links.used.sum())
    4

    References:
      Kamp, Adilova, Sicking, Hueger, Schlicht, Wirtz, Wrobel, "Efficient Decentralized Deep Learning by Dynamic Model
      Averaging", ECML PKDD 2018: the same rule, with a bound that each node checks alone.
    """

    schedule: Schedule
    threshold: float | jax.Array = number(minimum=0)

    @property
    def watches(self) -> dict[str, Any]:
        """The consensus distance, and what the schedule watches."""
        return super().watches | {"consensus_distance": ()}

    def init(self, key: Key) -> ScheduleState:
        return self.schedule.init(key), jnp.int32(0)

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The plan of the schedule, which counts the rounds in which it is used; or W = I and nothing sent."""
        inner, count = memory
        distance = 0.0 if seen is None else seen.values["consensus_distance"]
        on = jnp.asarray(distance, jnp.result_type(float)) > self.threshold
        full, new = self.schedule(inner, count, key, seen)
        inner = remembered(self.schedule, on, new, inner)
        return muted(peers_only(self, full), on), (inner, count + on.astype(jnp.int32))
