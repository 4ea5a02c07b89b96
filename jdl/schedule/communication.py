"""When to communicate: any schedule between peers, used in some rounds, and one exact average of all models."""

from __future__ import annotations

import numbers

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.schedule.wrapping import FOREVER, Wrapping, all_nodes, matrix, muted, peers_only, remembered
from jdl.types import Dense, Key, Plan, Schedule, ScheduleState, Seen, number

__all__ = ["FinalMerge", "Windowed"]


@struct.dataclass
class Windowed(Wrapping):
    """A schedule between peers that is used in some rounds alone: in every so many of them, late, or early.

    It is used in every `every`-th of the rounds `start` to `until` - 1. W = I in the other rounds, in which nothing is
    sent. The schedule counts the rounds in which it is used: a cycle of graphs goes on where it stopped. With `every`,
    the first to communicate is round `start + every - 1`, counted from 0, so that each exchange follows `every` rounds
    of local work; D-PSGD with H local steps a round is D-PSGD over `Windowed(..., every=H)`, but for its minibatches.
    A schedule that watches the nodes sees what they report in all rounds, also in those in which it is not used.

    Sends:
      what the schedule sends, in the rounds in which it is used.

    Args:
      schedule: who talks, between peers.
      every: rounds from one exchange to the next, at least 1; i32[], a leaf.
      start: the first round of the window, counted from 0; peers work alone before. i32[], a leaf.
      until: the first round after the window; peers work alone from then on. i32[], a leaf.

    Raises:
      InputError: if a number is no whole number in its range, or if the schedule is none. One with a server is refused
        when its first plan is made.

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
        super().__post_init__()
        for name, minimum in (("every", 1), ("start", 0), ("until", 0)):
            _count(self, name, minimum)

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """In its rounds the plan of the schedule, which counts them alone; elsewhere W = I and nothing sent."""
        t = jnp.asarray(t, jnp.int32)
        since = jnp.maximum(t - self.start, 0)
        on = (t >= self.start) & (t < self.until) & ((since + 1) % self.every == 0)
        full, new = self.schedule(memory, since // self.every, key, seen)
        return muted(peers_only(self, full), on), remembered(self.schedule, on, new, memory)


@struct.dataclass
class FinalMerge(Wrapping):
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
      InputError: if `at` is no whole number of at least 0, or if the schedule is none. One with a server, and more
        nodes than memory can hold, are refused when the first plan is made.

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
        super().__post_init__()
        _count(self, "at", 0)

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The plan of the schedule as a matrix, or J."""
        plan, memory = self.schedule(memory, t, key, seen)
        checks.fits(self.n**2 * (jnp.result_type(float).itemsize + 1), f"FinalMerge with n={self.n}")
        plan, n, merge = matrix(all_nodes(self, plan)), self.n, jnp.asarray(t, jnp.int32) == self.at
        others = ~jnp.eye(n, dtype=bool)
        share = jnp.asarray(1 / n, plan.self_weights.dtype)
        links = Dense(
            weights=jnp.where(merge, jnp.where(others, share, 0), plan.links.weights),
            used=jnp.where(merge, others, plan.links.used),
        )
        active = None if plan.active is None else plan.active | merge
        return plan.replace(links=links, self_weights=jnp.where(merge, share, plan.self_weights), active=active), memory


def _count(part: Schedule, name: str, minimum: int) -> None:
    """Check a Python number and make it an array: two periods are one program."""
    value = getattr(part, name)
    if isinstance(value, numbers.Real | str) and not hasattr(value, "dtype"):
        object.__setattr__(part, name, jnp.asarray(checks.whole(name, value, minimum), jnp.int32))
