"""Nodes that are lost for ever in one round, over any schedule between peers."""

from __future__ import annotations

from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl import plan as plans
from jdl.schedule.wrapping import Wrapping, asleep, peers_only, talking
from jdl.topology import Topology
from jdl.types import Key, Plan, Schedule, ScheduleState, Seen, static

__all__ = ["Disaster"]


@struct.dataclass
class Disaster(Wrapping):
    """In one round some nodes are lost for ever with their data, or go on as relays without data.

    A lost node is asleep from then on, as in `Sleeping`: the weight of each of its links goes back to the other end, so
    that a symmetric W stays doubly stochastic among the survivors, whose mean mixing keeps. A relay forwards: it sends,
    receives and averages as before, and its gradients are zero. Metrics over all nodes count the lost as well; to leave
    them out, make them the dishonest nodes of the roles.

    Sends:
      what the schedule sends, between nodes that are left.

    Args:
      schedule: who talks, between peers.
      lost: bool[n], which nodes are lost.
      round: the first round without them, counted from 0; a leaf, so a sweep over it is one program.
      relay: whether they go on as relays, without their data.
    """

    schedule: Schedule
    lost: jax.Array
    round: jax.Array
    relay: bool = static(False)

    @classmethod
    def of(
        cls,
        schedule: Schedule | Topology,
        round: int,
        share: float = 0.25,
        hubs: bool = False,
        relay: bool = False,
        seed: int = 0,
    ) -> Self:
        """A share of the nodes is lost in one round: see `Disaster`.

        Args:
          schedule: who talks, between peers: a schedule, or a topology for all of its links in every round.
          round: the first round without them, at least 0.
          share: share of the nodes that are lost, 0 to below 1: round(share n) nodes.
          hubs: whether those with most links in round 0 are lost (True), or random ones (False).
          relay: whether they go on as relays, without their data.
          seed: seed of the draw, and of the order of nodes with equally many links.

        Raises:
          InputError: if an argument is out of range, or if no node would be left.

        >>> from jdl.topology import star
        >>> Disaster.of(star(5), round=3, share=0.2, hubs=True).lost.tolist()
        [True, False, False, False, False]
        """
        schedule = talking(schedule)
        n, round = schedule.n, checks.whole("round", round, 0)
        checks.one_number("share", share, 0.25)
        checks.bounded("share", share, 0, 1, 0.25)
        count = int(np.round(share * n))
        checks.require(
            count < n, f"got share={share}, all of {n} nodes, need one that is left; try share={(n - 1) / n}"
        )
        order = np.random.default_rng(checks.whole("seed", seed, 0)).permutation(n)
        if hubs:
            key = jax.random.key(0)
            plan = schedule(schedule.init(key), jnp.int32(0), key)[0]
            degree = np.asarray(plans.degree(plan))
            order = order[np.argsort(-degree[order], kind="stable")]
        lost = np.zeros(n, bool)
        lost[order[:count]] = True
        return cls(schedule=schedule, lost=jnp.asarray(lost), round=jnp.int32(round), relay=relay)

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The plan of the schedule, after the disaster without those that are lost or without their work."""
        full, memory = self.schedule(memory, t, key, seen)
        plan = peers_only(self, full)
        left = ~self.lost[plans.ids(plan)] | (t < self.round)
        if self.relay:
            return plan.replace(works=left if plan.works is None else plan.works & left), memory
        return asleep(plan, left), memory
