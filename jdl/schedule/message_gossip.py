"""Plans of messages for gossip learning: who sends a model to whom, and who works on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np

from jdl import checks, events
from jdl.schedule.message_acts import into, out, timers
from jdl.topology import Topology
from jdl.topology.weights.given import one_graph

__all__ = ["GossipMessages"]


class GossipMessages:
    """The kinds of `Messages` in which nodes work on what arrives, and send by a timer."""

    @classmethod
    def push(
        cls,
        topology: Topology | Any,
        seconds_per_step: float | np.ndarray = 1.0,
        horizon: float = 100.0,
        law: str = "exponential",
        spread: float = 0.5,
        latency: float | np.ndarray = 0.0,
        transfer: float = 0.0,
        away: Iterable[Sequence[float]] = (),
        width: int | None = None,
        window_events: int | None = None,
        window_seconds: float | None = None,
        seed: int = 0,
    ) -> Self:
        """Each node sends its model, time and again, to a random out-neighbour, which works on it: see `events.push`.

        Args:
          topology: a graph, directed or not; its weights do not matter.
          seconds_per_step: the mean time between two messages of a node: one number, or one for each node.
          horizon: the length of the plan, in seconds.
          law: the law of this time: "exponential" (Poisson clocks), "log_normal", or "constant".
          spread: the standard deviation of the logarithm of a log-normal time.
          latency: seconds for which a message is under way: one number, or f[n, n] from sender (column) to receiver.
          transfer: seconds that a model needs beside that, its bits over the bandwidth.
          away: when nodes are away, rows (node, start, end) in seconds; what arrives then is lost.
          width: the largest number of acts of a wave that work, and of those that do not: together at most n; None for
            an eighth of n.
          window_events: the number of acts of a window; None for windows of one size, of about 4 n.
          window_seconds: the length of a window in seconds, in place of a number of acts.
          seed: of all draws.

        Raises:
          InputError: if a node has no neighbour to send to, if a number is out of range, or if nothing happens up to
            the horizon.
        """
        topology = one_graph(topology)
        clocks, absent = timers(topology.n, seconds_per_step, horizon, law, spread, away, seed)
        way = {"latency": latency, "transfer": transfer, "away": absent, "seed": (seed, 1)}
        acts = events.push(clocks, *out(topology), horizon, **way)
        return cls._of(acts, topology.n, 0.5, width, window_events, window_seconds)

    @classmethod
    def pull(
        cls,
        topology: Topology | Any,
        seconds_per_step: float | np.ndarray = 1.0,
        horizon: float = 100.0,
        law: str = "exponential",
        spread: float = 0.5,
        latency: float | np.ndarray = 0.0,
        transfer: float = 0.0,
        away: Iterable[Sequence[float]] = (),
        width: int | None = None,
        window_events: int | None = None,
        window_seconds: float | None = None,
        seed: int = 0,
    ) -> Self:
        """Each node asks a random in-neighbour for its model, and works on the answer: see `events.pull`.

        Args:
          topology: see `push`.
          seconds_per_step: the mean time between two requests of a node: one number, or one for each node.
          horizon: see `push`.
          law: see `push`.
          spread: see `push`.
          latency: see `push`; a request is under way as long.
          transfer: see `push`.
          away: see `push`.
          width: see `push`.
          window_events: see `push`.
          window_seconds: see `push`.
          seed: see `push`.

        Raises:
          InputError: as `push`.
        """
        topology = one_graph(topology)
        clocks, absent = timers(topology.n, seconds_per_step, horizon, law, spread, away, seed)
        way = {"latency": latency, "transfer": transfer, "away": absent, "seed": (seed, 1)}
        acts = events.pull(clocks, *into(topology), horizon, **way)
        return cls._of(acts, topology.n, 0.5, width, window_events, window_seconds)

    @classmethod
    def push_pull(
        cls,
        topology: Topology | Any,
        seconds_per_step: float | np.ndarray = 1.0,
        horizon: float = 100.0,
        law: str = "exponential",
        spread: float = 0.5,
        latency: float | np.ndarray = 0.0,
        transfer: float = 0.0,
        away: Iterable[Sequence[float]] = (),
        width: int | None = None,
        window_events: int | None = None,
        window_seconds: float | None = None,
        seed: int = 0,
    ) -> Self:
        """Each node sends its model to a random neighbour, which works on it and answers: see `events.push_pull`.

        Args:
          topology: an undirected graph; its weights do not matter.
          seconds_per_step: see `push`.
          horizon: see `push`.
          law: see `push`.
          spread: see `push`.
          latency: see `push`.
          transfer: see `push`.
          away: see `push`.
          width: see `push`.
          window_events: see `push`.
          window_seconds: see `push`.
          seed: see `push`.

        Raises:
          InputError: as `push`, or if W is not symmetric.
        """
        topology = one_graph(topology)
        need = f"got {topology.name!r} whose W is not symmetric, an answer needs a link back; use an undirected graph"
        checks.require(topology.symmetric, need)
        clocks, absent = timers(topology.n, seconds_per_step, horizon, law, spread, away, seed)
        way = {"latency": latency, "transfer": transfer, "away": absent, "seed": (seed, 1)}
        acts = events.push_pull(clocks, *out(topology), horizon, **way)
        return cls._of(acts, topology.n, 0.5, width, window_events, window_seconds)

    @classmethod
    def tokens(
        cls,
        topology: Topology | Any,
        seconds_per_step: float | np.ndarray = 1.0,
        horizon: float = 100.0,
        law: str = "exponential",
        spread: float = 0.5,
        latency: float | np.ndarray = 0.0,
        transfer: float = 0.0,
        strategy: str = "randomized",
        capacity: int = 10,
        reactivity: int = 5,
        away: Iterable[Sequence[float]] = (),
        width: int | None = None,
        window_events: int | None = None,
        window_seconds: float | None = None,
        seed: int = 0,
    ) -> Self:
        """Pushes that nodes save up as tokens, to answer models that arrive: see `events.tokens`.

        Args:
          topology: see `push`.
          seconds_per_step: the mean time between two tokens of a node: one number, or one for each node.
          horizon: see `push`.
          law: see `push`.
          spread: see `push`.
          latency: see `push`.
          transfer: see `push`.
          strategy: "simple", "generalized" or "randomized".
          capacity: the largest number of tokens that are saved, at least 1.
          reactivity: for about so many tokens one more copy is sent when a model arrives, 1 to `capacity`.
          away: see `push`.
          width: see `push`.
          window_events: see `push`.
          window_seconds: see `push`.
          seed: see `push`.

        Raises:
          InputError: as `push`.
        """
        topology = one_graph(topology)
        clocks, absent = timers(topology.n, seconds_per_step, horizon, law, spread, away, seed)
        way = {"latency": latency, "transfer": transfer, "away": absent, "seed": (seed, 1)}
        account = strategy, capacity, reactivity
        acts, _ = events.tokens(clocks, *out(topology), horizon, *account, **way)
        return cls._of(acts, topology.n, 0.5, width, window_events, window_seconds)
