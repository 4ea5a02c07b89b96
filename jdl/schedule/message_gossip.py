"""Plans of messages for gossip learning: who sends a model to whom, and who works on it."""

from __future__ import annotations

from typing import Any, Self

from jdl import checks, events
from jdl.schedule.message_acts import into, out
from jdl.schedule.message_times import Times, timed
from jdl.topology import Topology
from jdl.topology.weights.given import one_graph

__all__ = ["GossipMessages"]


class GossipMessages:
    """The kinds of `Messages` in which nodes work on what arrives, and send by a timer."""

    @classmethod
    @timed
    def push(cls, topology: Topology | Any, times: Times) -> Self:
        """Each node sends its model, time and again, to a random out-neighbour, which works on it: see `events.push`.

        Args:
          topology: a graph, directed or not; its weights do not matter.
          times: what all kinds are given, by name: see `jdl.schedule.message_times.Times`. A timer says when a node
            sends.

        Raises:
          InputError: if a node has no neighbour to send to, if a number is out of range, or if nothing happens up to
            the horizon.
        """
        topology = one_graph(topology)
        clocks, way = times.timers(topology.n), times.way(topology.n)
        acts = events.push(clocks, *out(topology), times.horizon, seed=(times.seed, 1), **way)
        return cls._of(acts, topology.n, 0.5, times)

    @classmethod
    @timed
    def pull(cls, topology: Topology | Any, times: Times) -> Self:
        """Each node asks a random in-neighbour for its model, and works on the answer: see `events.pull`.

        Args:
          topology: see `push`.
          times: see `push`. A timer says when a node asks; the request is under way for the latency as well.

        Raises:
          InputError: as `push`.
        """
        topology = one_graph(topology)
        clocks, way = times.timers(topology.n), times.way(topology.n)
        acts = events.pull(clocks, *into(topology), times.horizon, seed=(times.seed, 1), **way)
        return cls._of(acts, topology.n, 0.5, times)

    @classmethod
    @timed
    def push_pull(cls, topology: Topology | Any, times: Times) -> Self:
        """Each node sends its model to a random neighbour, which works on it and answers: see `events.push_pull`.

        Args:
          topology: an undirected graph; its weights do not matter.
          times: see `push`.

        Raises:
          InputError: as `push`, or if W is not symmetric.
        """
        topology = one_graph(topology)
        need = f"got {topology.name!r} whose W is not symmetric, an answer needs a link back; use an undirected graph"
        checks.require(topology.symmetric, need)
        clocks, way = times.timers(topology.n), times.way(topology.n)
        acts = events.push_pull(clocks, *out(topology), times.horizon, seed=(times.seed, 1), **way)
        return cls._of(acts, topology.n, 0.5, times)

    @classmethod
    @timed
    def tokens(
        cls,
        topology: Topology | Any,
        times: Times,
        strategy: str = "randomized",
        capacity: int = 10,
        reactivity: int = 5,
    ) -> Self:
        """Pushes that nodes save up as tokens, to answer models that arrive: see `events.tokens`.

        Args:
          topology: see `push`.
          times: see `push`. A timer gives a node its tokens.
          strategy: "simple", "generalized" or "randomized".
          capacity: the largest number of tokens that are saved, at least 1.
          reactivity: for about so many tokens one more copy is sent when a model arrives, 1 to `capacity`.

        Raises:
          InputError: as `push`.
        """
        topology = one_graph(topology)
        clocks, way = times.timers(topology.n), times.way(topology.n)
        account = strategy, capacity, reactivity
        acts, _ = events.tokens(clocks, *out(topology), times.horizon, *account, seed=(times.seed, 1), **way)
        return cls._of(acts, topology.n, 0.5, times)
