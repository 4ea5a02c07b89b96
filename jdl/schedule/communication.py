"""When to communicate: any schedule between peers, used in some rounds, and one exact average of all models."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl import plan as plans
from jdl.topology.forms import to_dense
from jdl.types import Adaptive, Dense, Groups, Key, Plan, Schedule, ScheduleState, Server

__all__ = ["FinalMerge", "Windowed", "early", "final_merge", "hushed", "late", "periodic", "peers_only"]

FOREVER = np.iinfo(np.int32).max
# A slot costs a read of every row, a row of a dense matrix 1/45 of one; see `jdl.topology.forms.choose`.
SLOTS_FOR_A_ROW = 45


@struct.dataclass
class Windowed:
    """A schedule that is used in every `every`-th of the rounds `start` to `until` - 1: i32[] each; see `periodic`."""

    schedule: Schedule
    start: jax.Array
    until: jax.Array
    every: jax.Array

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.schedule.n

    def init(self, key: Key) -> ScheduleState:
        return self.schedule.init(key)

    def __call__(self, memory: ScheduleState, t: jax.Array, key: Key) -> tuple[Plan, ScheduleState]:
        """In its rounds the plan of the schedule, which counts them alone; elsewhere W = I and nothing sent."""
        t = jnp.asarray(t, jnp.int32)
        since = jnp.maximum(t - self.start, 0)
        on = (t >= self.start) & (t < self.until) & ((since + 1) % self.every == 0)
        full, new = self.schedule(memory, since // self.every, key)
        return hushed(full, on), jax.tree.map(lambda new, old: jnp.where(on, new, old), new, memory)


@struct.dataclass
class FinalMerge:
    """A schedule with W = J in round `at`: i32[]; see `final_merge`."""

    schedule: Schedule
    at: jax.Array

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.schedule.n

    def init(self, key: Key) -> ScheduleState:
        return self.schedule.init(key)

    def __call__(self, memory: ScheduleState, t: jax.Array, key: Key) -> tuple[Plan, ScheduleState]:
        """The plan of the schedule as a matrix, or J."""
        plan, memory = self.schedule(memory, t, key)
        plan, n, merge = matrix(plan), self.n, jnp.asarray(t, jnp.int32) == self.at
        others = ~jnp.eye(n, dtype=bool)
        share = jnp.asarray(1 / n, plan.self_weights.dtype)
        links = Dense(
            weights=jnp.where(merge, jnp.where(others, share, 0), plan.links.weights),
            used=jnp.where(merge, others, plan.links.used),
        )
        active = None if plan.active is None else plan.active | merge
        return plan.replace(links=links, self_weights=jnp.where(merge, share, plan.self_weights), active=active), memory


def matrix(plan: Plan) -> Plan:
    """The same W as a dense matrix, whatever its form. Two links between the same two rows become one."""
    if isinstance(plan.links, Dense):
        return plan
    links, m = plans.one_by_one(plan).links, plans.rows(plan)
    used = jnp.zeros((m, m), bool).at[plans.receivers(links), plans.senders(links)].max(links.used)
    W = to_dense(plan)
    return plan.replace(links=Dense(weights=W - jnp.diag(jnp.diag(W)), used=used & ~jnp.eye(m, dtype=bool)))


def hushed(plan: Plan, on: jax.Array) -> Plan:
    """The plan where `on`: bool[] holds; else W = I, and no link is used. It keeps its kind: all fall silent or none.

    Averages within groups cannot leave a node to itself, so those become slots, or a matrix where groups are large.
    """
    if isinstance(plan.links, Groups):
        large = plan.links.members.shape[1] * SLOTS_FOR_A_ROW > plans.rows(plan)
        plan = matrix(plan) if large else plans.one_by_one(plan)
    links = plan.links
    links = links.replace(weights=jnp.where(on, links.weights, 0), used=links.used & on)
    return plan.replace(links=links, self_weights=jnp.where(on, plan.self_weights, 1))


def peers_only(name: str, schedule: Schedule) -> Schedule:
    """The schedule, or a sentence if it is one of clients, or learns from a run (it would not hear of it any more)."""
    checks.require(
        isinstance(schedule, Schedule) and callable(schedule),
        f"got {name} over a {type(schedule).__name__}, need a schedule; make one, e.g. jdl.schedule.fixed(topology)",
    )
    plan = jax.eval_shape(lambda key: schedule(schedule.init(key), jnp.int32(0), key)[0], jax.random.key(0))
    server = f"got {name} over a schedule with a server, need one between peers; use more local steps"
    checks.require(not isinstance(plan.links, Server), server)
    learns = f"got {name} over {type(schedule).__name__}, which learns; put that outside: it wraps this one"
    checks.require(not isinstance(schedule, Adaptive), learns)
    return schedule


def _windowed(schedule: Schedule, start: int = 0, until: int = FOREVER, every: int = 1) -> Windowed:
    # Arrays, not Python numbers: two periods are one program.
    start, until, every = (jnp.asarray(value, jnp.int32) for value in (start, until, every))
    return Windowed(schedule=schedule, start=start, until=until, every=every)


def periodic(schedule: Schedule, every: int) -> Windowed:
    """Peers communicate in every `every`-th round alone, after `every` rounds of local work each time.

    W = I in the other rounds, in which nothing is sent; the first to communicate is round `every` - 1, counted from 0.
    The schedule counts the rounds in which it is used: a cycle of graphs goes on where it stopped. D-PSGD with H local
    steps a round is D-PSGD over `periodic(..., H)`, but for its minibatches.

    Sends:
      what the schedule sends, in one round out of `every`.

    Args:
      schedule: who talks, between peers.
      every: rounds from one exchange to the next, at least 1.

    >>> from jdl.schedule import fixed
    >>> from jdl.topology import ring
    >>> talk = periodic(fixed(ring(5)), every=3)
    >>> [int(talk((), t, None)[0].links.used.sum()) for t in range(6)]
    [0, 0, 10, 0, 0, 10]
    """
    return _windowed(peers_only("periodic", schedule), every=checks.whole("every", every, 1))


def early(schedule: Schedule, until: int) -> Windowed:
    """Peers communicate in the first `until` rounds, and then no more.

    Args:
      schedule: who talks, between peers.
      until: the first silent round, counted from 0.

    >>> from jdl.schedule import matching
    >>> import jax
    >>> talk = early(matching(4), until=2)
    >>> [int(talk((), t, jax.random.key(t))[0].links.used.sum()) for t in range(4)]
    [4, 4, 0, 0]
    """
    return _windowed(peers_only("early", schedule), until=checks.whole("until", until, 0))


def late(schedule: Schedule, start: int) -> Windowed:
    """Peers work alone for `start` rounds, and communicate from then on; the schedule begins with its round 0.

    Args:
      schedule: who talks, between peers.
      start: the first round that communicates, counted from 0.

    >>> from jdl.schedule import matching
    >>> import jax
    >>> talk = late(matching(4), start=2)
    >>> [int(talk((), t, jax.random.key(t))[0].links.used.sum()) for t in range(4)]
    [0, 0, 4, 4]
    """
    return _windowed(peers_only("late", schedule), start=checks.whole("start", start, 0))


def final_merge(schedule: Schedule, at: int) -> FinalMerge:
    """A schedule between peers, with one exact average of all models, W = J, in round `at`.

    With `at` = rounds - 1 the run ends in the average of all, after the local work of that round. Where all Hessians
    are equal that is the model of centralised gradient descent, whatever W was before, even I. If a run goes on, so
    does the schedule. Both are held as a matrix of n x n.

    Sends:
      what the schedule sends, and n - 1 messages a node in round `at`, one to every other.

    Args:
      schedule: who talks before.
      at: the round of the average, counted from 0.

    >>> from jdl.schedule import fixed
    >>> from jdl.topology import ring
    >>> talk = final_merge(fixed(ring(5)), at=9)
    >>> [int(talk((), t, None)[0].links.used.sum()) for t in (8, 9, 10)]
    [10, 20, 10]

    References:
      "A Single Merging Suffices: Recovering Server-based Learning Performance in Decentralized Learning", 2025, whose
      text was not at hand.
    """
    schedule, at = peers_only("final_merge", schedule), checks.whole("at", at, 0)
    checks.fits(schedule.n**2 * (jnp.result_type(float).itemsize + 1), f"final_merge with n={schedule.n}")
    return FinalMerge(schedule=schedule, at=jnp.asarray(at, jnp.int32))
