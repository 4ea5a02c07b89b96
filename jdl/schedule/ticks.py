"""Nodes that act when their computations end, in ticks of a few seconds, and choose whom to hear by what they know."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.events import LAWS, means
from jdl.schedule.random_neighbours import RandomNeighbours
from jdl.topology.graphs.random_graphs import random_regular
from jdl.topology.topology import Topology
from jdl.topology.weights.given import one_graph
from jdl.types import Key, Plan, ScheduleState, Seen, Slots, number, static

__all__ = ["Ticks"]

CHOICES = ("uniform", "loss", "novel")
NEAR = 1e-4  # a number of ticks that differs from a whole one by less is that one, but for rounding


class Memory(NamedTuple):
    left: jax.Array  # f[n], ticks until each computation ends
    last: jax.Array  # i32[n], the tick after the one in which each node last took part
    heard: jax.Array  # i32[n, k], the same for each neighbour that it heard; () where the choice does not need it
    loss: jax.Array  # f[n], what each node last reported; () where the choice does not need it


@struct.dataclass
class Ticks:
    """Asynchronous time in ticks: in each, the nodes whose computations end listen to one neighbour each, and work.

    A round is a tick of `seconds`. Each node computes, one computation after the other; in the tick in which one ends,
    the node hears one neighbour, W_ij = 1/2, works, and begins the next computation at the very second at which this
    one ended: so times do not drift, and each act is late by less than a tick. A node acts once in a tick; where a
    computation is shorter than that, it acts again in the next ones, until it has caught up. What is heard is the
    neighbour's message of this tick; of two nodes that act in one tick, each hears what the other was before.

    `Waves` plans events exactly and costs as much as they are. This schedule has a row for each of n nodes in every
    tick, and is for choices that depend on what happens: a node hears a random neighbour ("uniform"), the one with the
    lowest loss that was reported ("loss"; one that never reported comes first), or the one that it has not heard for
    longest ("novel"); among equals one at random. A neighbour that is heard takes part, and does not work.

    Sends:
      1 message for each act, and the loss of those that took part if the choice needs it, which is not counted.

    Memory:
      2 numbers a node, and one for each neighbour or for the loss.

    Args:
      neighbours: i32[n, k], the neighbours of each node, itself where it has fewer than k. One without any works alone.
      steps: f[n], the mean duration of a computation of each node, in seconds; not shorter than a tick.
      seconds: the length of a tick; a leaf.
      spread: the standard deviation of the logarithm of a log-normal duration; a leaf.
      law: the law of a duration: "constant", "exponential", or "log_normal".
      choose: "uniform", "loss", or "novel".
      ticks: the largest number of rounds of a run.

    Raises:
      InputError: if the law or the choice is unknown.
    """

    neighbours: jax.Array
    steps: jax.Array
    seconds: float | jax.Array = number(0.1, minimum=0)
    spread: float | jax.Array = number(0.5, minimum=0)
    law: str = static("exponential")
    choose: str = static("uniform")
    ticks: int = static(1000, minimum=1)

    def __post_init__(self) -> None:
        checks.known("law", self.law, LAWS)
        checks.known("choose", self.choose, CHOICES)

    @classmethod
    def for_nodes(
        cls,
        n: int,
        degree: int = 4,
        seconds: float = 0.1,
        horizon: float = 100.0,
        law: str = "exponential",
        choose: str = "uniform",
        seed: int = 0,
    ) -> Self:
        """Ticks over a random regular graph, where each node ends one computation a second in the mean: see `Ticks`.

        Args:
          n: number of nodes, at least 1.
          degree: neighbours of each node, less than n, and even if n is odd.
          seconds: the length of a tick.
          horizon: the longest time of a run, in seconds.
          law: the law of a duration: "constant", "exponential", or "log_normal".
          choose: "uniform", "loss", or "novel".
          seed: of the graph.
        """
        graph = random_regular(n, degree=degree, seed=seed)
        return cls.of(graph, seconds=seconds, horizon=horizon, law=law, choose=choose)

    @classmethod
    def of(
        cls,
        topology: Topology | Any,
        seconds_per_step: float | np.ndarray = 1.0,
        seconds: float = 0.1,
        horizon: float = 100.0,
        law: str = "exponential",
        spread: float = 0.5,
        choose: str = "uniform",
    ) -> Self:
        """Ticks over a graph of your own: see `Ticks`.

        Args:
          topology: the graph; of a directed one, the nodes to which a node listens. Its weights do not matter.
          seconds_per_step: the mean duration of a computation: one number, or one for each node.
          seconds: the length of a tick, not longer than any of these.
          horizon: the longest time of a run, in seconds.
          law: the law of a duration.
          spread: the standard deviation of the logarithm of a log-normal duration.
          choose: the choice of a neighbour.

        Raises:
          InputError: if a number is out of range, or a word unknown.

        >>> from jdl.topology import ring
        >>> talk = Ticks.of(ring(4), np.array([1.0, 2.0, 2.0, 4.0]), seconds=1.0, horizon=8.0, law="constant")
        >>> talk.ticks, talk.seconds_at[0].tolist()[:3], talk.init(None).left.tolist()
        (8, [0.0, 1.0, 2.0], [1.0, 2.0, 2.0, 4.0])
        """
        topology = one_graph(topology)
        neighbours = RandomNeighbours.of(topology).neighbours
        if not neighbours.shape[1]:  # a place, though nobody is in it
            neighbours = jnp.arange(topology.n, dtype=jnp.int32)[:, None]
        steps, shortest = means("seconds_per_step", seconds_per_step, topology.n), float(np.min(seconds_per_step))
        positive = isinstance(seconds, int | float | np.number) and seconds > 0
        checks.require(positive, f"got seconds={seconds!r}, need the length of a tick, more than 0; try 0.1")
        long = f"got seconds={seconds:g} with a computation of {shortest:g} seconds in the mean"
        checks.require(seconds <= shortest, f"{long}, need ticks that are no longer; try seconds={shortest / 10:g}")
        some = f"got horizon={horizon!r}, need the time of a run in seconds, a tick at least; try horizon=100.0"
        checks.require(isinstance(horizon, int | float | np.number) and seconds <= horizon < np.inf, some)
        ticks = math.ceil(horizon / seconds - NEAR)
        return cls(neighbours, jnp.asarray(steps, jnp.result_type(float)), seconds, spread, law, choose, ticks)

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.neighbours.shape[-2]

    @property
    def watches(self) -> dict[str, Any]:
        """The loss, if it decides."""
        return {"loss": ()} if self.choose == "loss" else {}

    @property
    def seconds_at(self) -> jax.Array:
        """f[..., 2, T + 1], the second at which the first t ticks are over, and zeros; see `jdl.runs.planned`."""
        real = jnp.result_type(float)
        seconds = jnp.asarray(self.seconds, real)[..., None] * jnp.arange(self.ticks + 1, dtype=real)
        return jnp.stack([seconds, jnp.zeros_like(seconds)], axis=-2)

    def init(self, key: Key) -> ScheduleState:
        """All computations begin at second 0."""
        n, k = self.neighbours.shape
        never = jnp.full((n, k), -1, jnp.int32) if self.choose == "novel" else ()
        loss = jnp.full(n, -jnp.inf, jnp.result_type(float)) if self.choose == "loss" else ()
        return Memory(self._durations(key), jnp.zeros(n, jnp.int32), never, loss)

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """Tick t: who acts follows from the memory, and `key` draws neighbours and the next durations."""
        which, new = jax.random.split(key)
        t, own = jnp.asarray(t, jnp.int32), jnp.arange(self.n, dtype=jnp.int32)
        loss = memory.loss
        if self.choose == "loss" and seen is not None:
            loss = jnp.where(seen.heard, seen.values["loss"].astype(loss.dtype), loss)
        left = memory.left - 1
        acts = left <= NEAR
        place = self._chosen(memory.heard, loss, which)
        partner = jnp.take_along_axis(self.neighbours, place[:, None], axis=1)[:, 0]
        used = acts & (partner != own)
        partner = jnp.where(used, partner, own)
        active = acts.at[partner].max(used)
        share = jnp.where(used, 0.5, 0.0).astype(jnp.result_type(float))
        plan = Plan(
            links=Slots(weights=share[:, None], used=used[:, None], senders=partner[:, None]),
            self_weights=1 - share,
            active=active,
            works=acts,
            elapsed=(t + 1 - memory.last).astype(share.dtype) * jnp.asarray(self.seconds, share.dtype),
            stochastic="row",
        )
        heard = memory.heard
        if self.choose == "novel":
            slot = jnp.where(used, place, heard.shape[1])
            heard = heard.at[own, slot].set(jnp.broadcast_to(t, own.shape), mode="drop")
        left = jnp.where(acts, left + self._durations(new), left)
        return plan, Memory(left, jnp.where(active, t + 1, memory.last), heard, loss)

    def _chosen(self, heard: jax.Array, loss: jax.Array, key: Key) -> jax.Array:
        """i32[n], the place of the neighbour that each node would hear: a random one of those that come first."""
        there = self.neighbours != jnp.arange(self.n, dtype=jnp.int32)[:, None]
        if self.choose != "uniform":
            order = loss[self.neighbours] if self.choose == "loss" else heard
            order = jnp.where(there, order, jnp.inf if self.choose == "loss" else jnp.iinfo(jnp.int32).max)
            there = there & (order == jnp.min(order, axis=1, keepdims=True))
        lots = jnp.where(there, jax.random.uniform(key, there.shape), -1)
        return jnp.argmax(lots, axis=1).astype(jnp.int32)

    def _durations(self, key: Key) -> jax.Array:
        """f[n], the ticks that a computation of each node takes."""
        mean = self.steps / jnp.asarray(self.seconds, self.steps.dtype)
        whole = jnp.round(mean)
        mean = jnp.where(jnp.abs(mean - whole) < NEAR, whole, mean)
        if self.law == "constant":
            return mean
        if self.law == "exponential":
            return mean * jax.random.exponential(key, mean.shape, mean.dtype)
        # A log-normal number has mean 1 if the mean of its logarithm is -spread^2 / 2.
        spread = jnp.asarray(self.spread, mean.dtype)
        return mean * jnp.exp(spread * jax.random.normal(key, mean.shape, mean.dtype) - spread**2 / 2)
