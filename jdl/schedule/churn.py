"""Nodes that join and leave in given rounds, over any schedule between peers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.schedule.wrapping import FOREVER, Wrapping, all_nodes, asleep, talking
from jdl.topology import Topology
from jdl.types import Key, Plan, Schedule, ScheduleState, Seen

__all__ = ["Churn"]


@struct.dataclass
class Churn(Wrapping):
    """A schedule between peers whose nodes join in some rounds, and leave in others.

    A node that is not there is asleep: it keeps its state, and neither sends nor receives. The weight of a link that
    falls silent is added to the diagonal as in `Sleeping`, so that a symmetric W is doubly stochastic among those that
    are there. In the round in which a node joins, `plan.joins` is true for it: its state is made from the mean of the
    models of its neighbours in this round. A node joins with its own initial model if it has no neighbours then.

    Sends:
      what the schedule sends, between nodes that are there.

    Args:
      schedule: who talks, between peers.
      joins: i32[n], the round in which each node joins, counted from 0; 0 for those that are there from the start.
      leaves: i32[n], the first round in which it is not there any more. A node that leaves before it joins is there
        from the start, and away between the two.
    """

    schedule: Schedule
    joins: jax.Array
    leaves: jax.Array

    @classmethod
    def of(
        cls,
        schedule: Schedule | Topology,
        joins: Mapping[int, int] | None = None,
        leaves: Mapping[int, int] | None = None,
    ) -> Self:
        """Nodes that join and leave in given rounds: see `Churn`.

        Args:
          schedule: who talks, between peers: a schedule, or a topology for all of its links in every round.
          joins: node -> the round in which it joins, at least 1, counted from 0. The others are there from the start.
          leaves: node -> the first round in which it is not there any more, at least 1. The others stay.

        Raises:
          InputError: if a node or a round does not exist, if a node joins and leaves in one round, or if the schedule
            is none. One with a server is refused when its first plan is made.

        >>> from jdl.topology import ring
        >>> talk = Churn.of(ring(4), joins={3: 2}, leaves={0: 3})
        >>> [talk((), t, None)[0].active.astype(int).tolist() for t in (1, 2, 3)]
        [[1, 1, 1, 0], [1, 1, 1, 1], [0, 1, 1, 1]]
        """
        schedule, joins, leaves = talking(schedule), joins or {}, leaves or {}
        start, end = _table("joins", joins, schedule.n, 0), _table("leaves", leaves, schedule.n, FOREVER)
        same = [node for node in joins if joins[node] == leaves.get(node)]
        checks.require(not same, f"got node {same[:1]} that joins and leaves in one round, need two rounds; change one")
        return cls(schedule=schedule, joins=jnp.asarray(start), leaves=jnp.asarray(end))

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The plan of the schedule without those that are not there, and who joins in round t."""
        full, memory = self.schedule(memory, t, key, seen)
        t = jnp.asarray(t, jnp.int32)
        came, left = t >= self.joins, t >= self.leaves
        there = jnp.where(self.leaves < self.joins, came | ~left, came & ~left)
        plan = asleep(all_nodes(self, full), there)
        joins = (t == self.joins) & (self.joins > 0) & plan.active
        return plan.replace(joins=joins if full.joins is None else joins | (full.joins & plan.active)), memory


def _table(name: str, given: Mapping[int, int], n: int, usual: int) -> np.ndarray:
    """i32[n], the round of each node, `usual` for those that are not named."""
    table = np.full(n, usual, np.int32)
    for node, t in given.items():
        node = checks.whole(f"node of {name}", node, 0)
        checks.require(node < n, f"got {name} of node {node}, need one of n={n} nodes, counted from 0; try {n - 1}")
        table[node] = checks.whole(f"{name}[{node}]", t, 1)
    return table
