"""Nodes that crash and recover at random, over any schedule between peers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.schedule.wrapping import Wrapping, all_nodes, asleep, of_rows, peers_only
from jdl.types import Key, Plan, Schedule, ScheduleState, Seen, number, static

__all__ = ["Crashes"]


@struct.dataclass
class Crashes(Wrapping):
    """Nodes crash and recover, each an on/off Markov chain; a node that recovers goes on, or begins anew.

    A node that is up crashes with probability `fail` a round, one that is down recovers with probability `recover`;
    with 0, it stays down for ever. All are up in the first round. A node that is down is asleep, as in `Sleeping`,
    where nodes miss rounds independently of the past. One that recovers goes on with the state that it had (a restart
    from its own disk), or, with `anew`, its state is made from the mean of its neighbours' models in that round, as for
    a node that joins in `Churn`. For crashes in given rounds take `Churn`, with `leaves` before `joins`.

    Sends:
      what the schedule sends, between nodes that are up; with `anew`, a model on each link into a node that recovers.

    Memory:
      that of the schedule, and one bit for each node.

    Args:
      schedule: who talks, between peers.
      fail: probability that a node that is up is down in the next round, 0 to 1; a leaf.
      recover: probability that a node that is down is up in the next round, 0 to 1; a leaf.
      anew: whether a node that recovers begins anew (True), or with the state that it had (False).

    >>> import jax
    >>> from jdl.schedule import Matching
    >>> talk = Crashes(Matching(4), fail=1.0, recover=0.0)
    >>> _, memory = talk(talk.init(jax.random.key(0)), 0, jax.random.key(1))
    >>> print(talk(memory, 1, jax.random.key(2))[0].active)
    [False False False False]
    """

    schedule: Schedule
    fail: float | jax.Array = number(0.02, minimum=0, maximum=1)
    recover: float | jax.Array = number(0.2, minimum=0, maximum=1)
    anew: bool = static(False)

    def init(self, key: Key) -> ScheduleState:
        up = jnp.ones(self.n, bool)
        return self.schedule.init(key), up, jnp.zeros_like(up)

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The plan of the schedule without the nodes that are down, and who is up in the next round."""
        inner, up, back = memory
        inner_key, own_key = jax.random.split(key)
        full, inner = self.schedule(inner, t, inner_key, seen)
        plan = asleep((all_nodes if self.anew else peers_only)(self, full), of_rows(full, up))
        if self.anew:
            joins = back & plan.active
            plan = plan.replace(joins=joins if full.joins is None else joins | (full.joins & plan.active))
        after = up ^ jax.random.bernoulli(own_key, jnp.where(up, self.fail, self.recover))
        return plan, (inner, after, after & ~up)
