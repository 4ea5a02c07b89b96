"""A network that falls apart into groups, and heals, over any schedule between peers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl import plan as plans
from jdl.schedule.wrapping import FOREVER, Wrapping, peers_only, talking
from jdl.topology import Topology
from jdl.types import Key, Plan, Schedule, ScheduleState, Seen, number

__all__ = ["Partition"]


@struct.dataclass
class Partition(Wrapping):
    """In some rounds all links between groups are cut; afterwards the network heals.

    The groups are given, or they are those of the simulation's roles. Both ends know that a link is cut: nothing is
    sent on it, and its weight goes back, to the receiver, or to the sender if W is column stochastic. A symmetric W
    stays symmetric and doubly stochastic, so that each group keeps its own mean and reaches consensus on it. A doubly
    stochastic W that is not symmetric becomes only row stochastic, and its plans say so.

    Sends:
      what the schedule sends, but for the links that are cut.

    Args:
      schedule: who talks, between peers.
      group: i32[n], the group of each node; None for the groups of the roles.
      start: the first round in which links are cut, counted from 0; a leaf.
      end: the first round after that in which all links are back; a leaf.
    """

    schedule: Schedule
    group: jax.Array | None
    start: int | jax.Array = number(0, minimum=0)
    end: int | jax.Array = number(FOREVER, minimum=0)

    @classmethod
    def of(
        cls,
        schedule: Schedule | Topology,
        start: int = 0,
        end: int | None = None,
        group: Sequence[int] | np.ndarray | None = None,
    ) -> Self:
        """Links between groups are cut from round `start` to round `end`: see `Partition`.

        Args:
          schedule: who talks, between peers: a schedule, or a topology for all of its links in every round.
          start: the first round in which links are cut, counted from 0.
          end: the first round in which they are back, after `start`; None for never.
          group: i32[n], the group of each node; None for the groups of the roles.

        Raises:
          InputError: if `end` is not after `start`, or if groups are not whole numbers, one for each node.

        >>> from jdl.topology import ring
        >>> cut = Partition.of(ring(4), start=1, end=2, group=[0, 0, 1, 1])
        >>> [int(cut((), t, None)[0].links.used.sum()) for t in range(3)]
        [8, 4, 8]
        """
        schedule, start = talking(schedule), checks.whole("start", start, 0)
        end = FOREVER if end is None else checks.whole("end", end, 0)
        checks.require(start < end, f"got start={start} and end={end}, need a later end; try end={start + 1}")
        if group is not None:
            array, n = np.asarray(group), schedule.n
            good = array.shape == (n,) and np.issubdtype(array.dtype, np.integer)
            got = f"got group of shape {array.shape} and type {array.dtype}"
            checks.require(good, f"{got}, need a whole number for each of {n} nodes; try np.arange({n}) % 2")
            group = jnp.asarray(array, jnp.int32)
        return cls(schedule=schedule, group=group, start=jnp.int32(start), end=jnp.int32(end))

    @property
    def watches(self) -> dict[str, Any]:
        """What the schedule watches. A schedule that watches something is told the roles."""
        return super().watches | ({"consensus_distance": ()} if self.group is None else {})

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The plan of the schedule, without the links between groups while the network is apart."""
        full, memory = self.schedule(memory, t, key, seen)
        plan = plans.one_by_one(peers_only(self, full))
        group = seen.roles.group if self.group is None else self.group
        of_rows = group[plans.ids(plan)]
        within = of_rows[plans.receivers(plan.links)] == of_rows[plans.senders(plan.links)]
        t = jnp.asarray(t, jnp.int32)
        return plans.silence(plan, within | (t < self.start) | (t >= self.end)), memory
