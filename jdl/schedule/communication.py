"""When to communicate: any schedule between peers, used in some rounds, and one exact average of all models."""

from __future__ import annotations

import numbers

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl import plan as plans
from jdl.topology.forms import to_dense
from jdl.types import Dense, Groups, Key, Plan, Schedule, ScheduleState, Server, number

__all__ = ["FinalMerge", "Windowed", "check_wrapped", "muted", "peers_only"]

FOREVER = np.iinfo(np.int32).max
# A slot costs a read of every row, a row of a dense matrix 1/45 of one; see `jdl.topology.forms.choose`.
SLOTS_FOR_A_ROW = 45


@struct.dataclass
class Windowed:
    """A schedule between peers that is used in some rounds alone: in every so many of them, late, or early.

    It is used in every `every`-th of the rounds `start` to `until` - 1. W = I in the other rounds, in which nothing is
    sent. The schedule counts the rounds in which it is used: a cycle of graphs goes on where it stopped. With `every`,
    the first to communicate is round `start + every - 1`, counted from 0, so that each exchange follows `every` rounds
    of local work; D-PSGD with H local steps a round is D-PSGD over `Windowed(..., every=H)`, but for its minibatches.

    Sends:
      what the schedule sends, in the rounds in which it is used.

    Args:
      schedule: who talks, between peers.
      every: rounds from one exchange to the next, at least 1; i32[], a leaf.
      start: the first round of the window, counted from 0; peers work alone before. i32[], a leaf.
      until: the first round after the window; peers work alone from then on. i32[], a leaf.

    Raises:
      InputError: if a number is no whole number in its range, or if the schedule is none, or one that learns from a
        run. One with a server is refused when its first plan is made.

    >>> from jdl.schedule import Fixed
    >>> from jdl.topology import ring
    >>> talk = Windowed(Fixed.of(ring(5)), every=3)
    >>> [int(talk((), t, None)[0].links.used.sum()) for t in range(6)]
    [0, 0, 10, 0, 0, 10]
    >>> talk = Windowed(Fixed.of(ring(5)), start=2, until=4)
    >>> [int(talk((), t, None)[0].links.used.sum()) for t in range(6)]
    [0, 0, 10, 10, 0, 0]
    """

    schedule: Schedule
    every: int | jax.Array = number(1, minimum=1)
    start: int | jax.Array = number(0, minimum=0)
    until: int | jax.Array = number(FOREVER, minimum=0)

    def __post_init__(self) -> None:
        check_wrapped(self)
        for name, minimum in (("every", 1), ("start", 0), ("until", 0)):
            _count(self, name, minimum)

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
        return muted(peers_only(self, full), on), jax.tree.map(lambda new, old: jnp.where(on, new, old), new, memory)


@struct.dataclass
class FinalMerge:
    """A schedule between peers, with one exact average of all models, W = J, in one round.

    With `at` = rounds - 1 the run ends in the average of all, after the local work of that round. Where all Hessians
    are equal that is the model of centralised gradient descent, whatever W was before, even I. If a run goes on, so
    does the schedule. Both are held as a matrix of n x n.

    Sends:
      what the schedule sends, and n - 1 messages a node in round `at`, one to every other.

    Args:
      schedule: who talks in the other rounds, between peers.
      at: the round of the average, counted from 0; i32[], a leaf.

    Raises:
      InputError: if `at` is no whole number of at least 0, or if the schedule is none, or one that learns from a run.
        One with a server, and more nodes than memory can hold, are refused when the first plan is made.

    >>> from jdl.schedule import Fixed
    >>> from jdl.topology import ring
    >>> talk = FinalMerge(Fixed.of(ring(5)), at=9)
    >>> [int(talk((), t, None)[0].links.used.sum()) for t in (8, 9, 10)]
    [10, 20, 10]

    References:
      "A Single Merging Suffices: Recovering Server-based Learning Performance in Decentralized Learning", 2025, whose
      text was not at hand.
    """

    schedule: Schedule
    at: int | jax.Array = number(minimum=0)

    def __post_init__(self) -> None:
        check_wrapped(self)
        _count(self, "at", 0)

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.schedule.n

    def init(self, key: Key) -> ScheduleState:
        return self.schedule.init(key)

    def __call__(self, memory: ScheduleState, t: jax.Array, key: Key) -> tuple[Plan, ScheduleState]:
        """The plan of the schedule as a matrix, or J."""
        plan, memory = self.schedule(memory, t, key)
        checks.fits(self.n**2 * (jnp.result_type(float).itemsize + 1), f"FinalMerge with n={self.n}")
        plan, n, merge = matrix(peers_only(self, plan)), self.n, jnp.asarray(t, jnp.int32) == self.at
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


def muted(plan: Plan, on: jax.Array) -> Plan:
    """The plan where `on`: bool[] holds; else W = I, and no link is used. All nodes fall silent, or none.

    Averages within groups cannot leave a node to itself, so those become slots, or a matrix where groups are large.
    """
    if isinstance(plan.links, Groups):
        large = plan.links.members.shape[1] * SLOTS_FOR_A_ROW > plans.rows(plan)
        plan = matrix(plan) if large else plans.one_by_one(plan)
    links = plan.links
    links = links.replace(weights=jnp.where(on, links.weights, 0), used=links.used & on)
    return plan.replace(links=links, self_weights=jnp.where(on, plan.self_weights, 1))


def check_wrapped(outer: Schedule) -> None:
    """Check that `outer.schedule` is a schedule that does not learn: from inside another one it would learn nothing.

    Raises:
      InputError: if it is none, or if it learns.
    """
    # By the class: JAX makes parts anew whose arrays are of any kind, and of these no property can be asked.
    name, kind = type(outer).__name__, type(outer.schedule)
    need = f"got {name} over a {kind.__name__}, need a schedule; make one, e.g. jdl.schedule.Fixed.of(topology)"
    checks.require(hasattr(kind, "init") and callable(outer.schedule), need)
    learns = f"got {name} over {kind.__name__}, which learns; put that outside: it wraps this one"
    checks.require(not hasattr(kind, "learn"), learns)


def peers_only(outer: Schedule, plan: Plan) -> Plan:
    """The plan, which must be one between peers.

    Raises:
      InputError: if it has a server.
    """
    name = type(outer).__name__
    need = f"got {name} over a schedule with a server, need one between peers; use more local steps"
    checks.require(not isinstance(plan.links, Server), need)
    return plan


def _count(part: Schedule, name: str, minimum: int) -> None:
    """Check a Python number and make it an array: two periods are one program."""
    value = getattr(part, name)
    if isinstance(value, numbers.Real | str) and not hasattr(value, "dtype"):
        object.__setattr__(part, name, jnp.asarray(checks.whole(name, value, minimum), jnp.int32))
