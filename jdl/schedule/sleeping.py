"""Nodes that miss rounds at random, over any schedule between peers."""

from __future__ import annotations

import jax
from flax import struct

from jdl import checks
from jdl import plan as plans
from jdl.schedule.wrapping import Wrapping, asleep
from jdl.types import Key, Plan, Schedule, ScheduleState, Seen, Server, number

__all__ = ["Sleeping"]


@struct.dataclass
class Sleeping(Wrapping):
    """Every node sleeps through a round with some probability, independently of the others.

    A sleeper keeps its state, and neither sends nor receives. The weight W_ij of an unused link is added to W_ii
    if W is row stochastic, and to W_jj if W is column stochastic. A symmetric W stays symmetric and doubly stochastic.
    A doubly stochastic W that is not symmetric, such as that of an exponential graph, is only row stochastic with
    sleepers, and its plans say so.

    Sends:
      what the schedule sends, between nodes that are awake.

    Args:
      schedule: who talks, between peers.
      probability: probability that a node sleeps in a round, 0 to 1. It is a leaf, so a sweep over it is one program.

    >>> import jax
    >>> from jdl.schedule import Matching
    >>> plan, _ = Sleeping(Matching(4), probability=1.0)((), 0, jax.random.key(0))
    >>> print(plan.active, plan.self_weights)
    [False False False False] [1. 1. 1. 1.]
    """

    schedule: Schedule
    probability: float | jax.Array = number(minimum=0, maximum=1)

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The plan of the schedule without the rows and columns of the sleepers that `key` draws."""
        inner_key, own_key = jax.random.split(key)
        full, memory = self.schedule(memory, t, inner_key, seen)
        need = "got Sleeping over a schedule with a server, whose sample decides who takes part; use fewer participants"
        checks.require(not isinstance(full.links, Server), need)
        awake = ~jax.random.bernoulli(own_key, self.probability, (plans.rows(full),))
        return asleep(full, awake), memory
