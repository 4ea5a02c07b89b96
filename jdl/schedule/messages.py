"""Messages that take time, planned and executed in waves."""

from __future__ import annotations

from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks, events
from jdl.schedule.message_free import FreeMessages
from jdl.schedule.message_gossip import GossipMessages
from jdl.schedule.message_waves import arrays
from jdl.topology.graphs.random_graphs import random_regular
from jdl.types import Key, Mail, Plan, ScheduleState, Seen, Slots, static

__all__ = ["KINDS", "Messages"]

KINDS = ("push", "pull", "push_pull", "tokens", "publish", "split", "walks")


@struct.dataclass
class Messages(GossipMessages, FreeMessages):
    """Asynchronous messages that take time, planned in seconds before the run: each round is a wave of acts of nodes.

    In an act a node sends a message, which waits in a place until its last receiver has read it, and reads messages
    that others sent before. A node acts once in a wave, and a message is read in a later wave than it was sent in. So
    to execute the waves is to execute the acts one at a time in the order of time. The first rows of a wave are for
    acts that work, and the others for acts that only send. Windows of waves are those of `Waves`.

    The kinds of plans: `push`, `pull`, `push_pull` and `tokens` (gossip learning), `publish` (any gossip method,
    without waiting), `split` (push-sum) and `walks` (models that walk).

    Sends:
      1 message an act that sends, or one to each out-neighbour with `publish`, also those that never arrive.

    Args:
      nodes: i32[T, m], who acts. Acts that there are not have nodes of no other act of the wave.
      acts: bool[T, m], which acts there are.
      works: bool[T, workers], in which of them the node works.
      posts: i32[T, m], the place of the message that is sent; `places` for none that is read.
      copies: i32[T, m], to how many receivers it is sent.
      reads: i32[T, m, k], the places that are read; -1 for none.
      speakers: i32[T, m, k], who sent what is read; the node itself where there is nothing.
      weights: f[n, k], what a node gives to the message in each slot; the rest is for its own model.
      elapsed: f[T, m], the seconds since the last act of the node, or since second 0.
      seconds_at: f[T + 1], the second at which all acts of the first t waves have happened.
      n: number of nodes.
      places: number of places.
      waves_per_window: number of waves in each window.
      workers: number of rows that may work.
      sums: whether a node keeps half of what it has when it sends, and adds up half of all that it reads.

    >>> from jdl.topology import ring
    >>> messages = Messages.push(ring(8), horizon=10.0, latency=0.5, width=2)
    >>> plan, _ = messages((), 5, None)
    >>> plan.participants.shape, plan.mail.reads.shape
    ((4,), (4, 1))

    References:
      Ormandi, Hegedus, Jelasity 2013, Gossip learning with linear models on fully distributed data (pushes and walks).
      Danner, Jelasity 2018, Token Account Algorithms (tokens). Bornstein, Rabbani, Wang, Bedi, Huang 2022, SWIFT
      (publish). Kempe, Dobra, Gehrke 2003, Gossip-Based Computation of Aggregate Information (split). `publish` and
      `jdl.events.tokens` say what was read.
    """

    nodes: jax.Array
    acts: jax.Array
    works: jax.Array
    posts: jax.Array
    copies: jax.Array
    reads: jax.Array
    speakers: jax.Array
    weights: jax.Array
    elapsed: jax.Array
    seconds_at: jax.Array
    n: int = static(minimum=1)
    places: int = static(minimum=0)
    waves_per_window: int = static(1, minimum=1)
    workers: int = static(1, minimum=1)
    sums: bool = static(False)

    @classmethod
    def for_nodes(
        cls,
        n: int,
        degree: int = 4,
        horizon: float = 100.0,
        kind: str = "push",
        law: str = "exponential",
        latency: float = 0.1,
        seed: int = 0,
    ) -> Self:
        """Messages along the links of a random regular graph, of nodes that act once a second in the mean.

        Args:
          n: number of nodes, at least 1.
          degree: neighbours of each node, less than n, and even if n is odd.
          horizon: the length of the plan, in seconds.
          kind: "push", "pull", "push_pull", "tokens", "publish", "split", or "walks" of n / 8 models.
          law: the law of the time between two acts: "exponential" (Poisson clocks), "log_normal", or "constant".
          latency: seconds for which a message is under way.
          seed: of the graph and of the plan.
        """
        graph = random_regular(n, degree=degree, seed=seed)
        more = {"tokens": max(n // 8, 1)} if checks.known("kind", kind, KINDS) == "walks" else {}
        return getattr(cls, kind)(graph, horizon=horizon, law=law, latency=latency, seed=seed, **more)

    @classmethod
    def _of(
        cls,
        acts: events.MailActs,
        n: int,
        weights: float | np.ndarray,
        width: int | None,
        count: int | None,
        seconds: float | None,
        sums: bool = False,
    ) -> Self:
        """The waves of these acts."""
        most = n if acts.works.all() else max(n // 2, 1)
        width = max(n // 8, 1) if width is None else checks.whole("width", width, 1)
        need = f"got width={width} with n={n}, need a node for each act of a wave; try width={most}"
        checks.require(width <= most, need)
        if n > 1 and not np.any(acts.reads >= 0):
            checks.note(
                "no message arrives before the horizon, so that nodes are alone; give a longer one, or latency=0.1"
            )
        table = events.mail_waves(acts, n, width, None, count, seconds, keep=sums)
        dtype = jnp.result_type(float)
        found: dict[str, Any] = {
            **arrays(acts, table, n),
            "weights": np.broadcast_to(weights, (n, acts.reads.shape[1])).astype(dtype),
        }
        return cls(
            **jax.device_put(found),  # `jnp.asarray` would compile a program for each shape
            seconds_at=table.seconds,  # in double precision
            n=n,
            places=table.places,
            waves_per_window=table.per_window,
            workers=table.workers,
            sums=sums,
        )

    @property
    def waves(self) -> int:
        """The number of waves, the largest number of rounds of a run."""
        return self.nodes.shape[-2]

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """Wave t; the key does not matter. After the last one nobody acts."""
        wave, more = jnp.minimum(t, self.waves - 1), t < self.waves
        nodes, reads, dtype = self.nodes[wave], self.reads[wave], jnp.result_type(float)
        acts = self.acts[wave] & more
        used = (reads >= 0) & acts[:, None]
        copies = jnp.where(acts, self.copies[wave], 0)
        weights = jnp.where(used, self.weights[nodes].astype(dtype), 0)
        kept = jnp.where(copies > 0, 0.5, 1.0).astype(dtype) if self.sums else 1 - jnp.sum(weights, axis=1)
        own = jnp.broadcast_to(jnp.arange(nodes.shape[0], dtype=jnp.int32)[:, None], used.shape)
        idle = jnp.zeros(nodes.shape[0] - self.workers, bool)
        posts = jnp.where(acts, self.posts[wave], self.places)
        mail = Mail(posts, copies.astype(dtype), jnp.maximum(reads, 0), self.places) if self.places else None
        return Plan(
            links=Slots(weights, used, own, speakers=self.speakers[wave]),
            self_weights=kept,
            active=acts,
            works=jnp.concatenate([self.works[wave] & more, idle]),
            elapsed=self.elapsed[wave].astype(dtype),
            mail=mail,
            participants=nodes,
            workers=self.workers,
            stochastic="column" if self.sums else "row",
        ), memory
