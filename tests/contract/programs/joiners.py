"""Membership that changes: nodes that join in some round, and nodes that leave in another.

The schedule of peers is wrapped. A node that is not there is asleep and has no links; their weights go back to its
neighbours, so that a symmetric W stays doubly stochastic among those that are there. In the round in which a node
joins, `plan.joins` says so, and its state is made from the weighted mean of its neighbours' models.

Source: the open membership of Koloskova, Loizou, Boreiri, Jaggi, Stich 2020, A Unified Theory of Decentralized SGD with
Changing Topology (W may differ from round to round), with the usual start of a newcomer from what its neighbours have.
"""

import jax
import jax.numpy as jnp
from flax import struct

from jdl import plan as plans
from jdl.types import Schedule


@struct.dataclass
class Membership:
    """A schedule whose nodes join and leave in given rounds.

    Args:
      schedule: who talks, between peers.
      joins: i32[n], the round in which each node joins, counted from 0; 0 for those that are there from the start.
      leaves: i32[n], the first round in which it is not there any more.
    """

    schedule: Schedule
    joins: jax.Array
    leaves: jax.Array

    @property
    def n(self):
        return self.schedule.n

    def init(self, key):
        return self.schedule.init(key)

    def __call__(self, memory, t, key, seen=None):
        plan, memory = self.schedule(memory, t, key, seen)
        plan = plans.one_by_one(plan)
        there = (self.joins <= t) & (t < self.leaves)
        both = there[plans.senders(plan.links)] & there[plans.receivers(plan.links)]
        return plans.silence(plan, both).replace(active=there, joins=there & (t == self.joins) & (t > 0)), memory


def membership(schedule, joins, leaves):
    """The schedule in which node i joins in round `joins[i]` and leaves in round `leaves[i]`; the others stay."""
    never = jnp.iinfo(jnp.int32).max
    table = lambda rounds, usual: jnp.array([rounds.get(i, usual) for i in range(schedule.n)], jnp.int32)
    return Membership(schedule, table(joins, 0), table(leaves, never))
