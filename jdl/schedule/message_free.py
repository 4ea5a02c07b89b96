"""Plans of messages of nodes that never wait: whoever ends a computation goes on."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from jdl import checks, events
from jdl.schedule.message_acts import out
from jdl.schedule.message_times import Times, timed
from jdl.topology import Topology, forms
from jdl.topology.weights.given import one_graph

__all__ = ["FreeMessages"]


class FreeMessages:
    """The kinds of `Messages` in which nodes mix when their own computations end."""

    @classmethod
    @timed
    def publish(cls, topology: Topology | Any, times: Times) -> Self:
        """Each node that ends a computation mixes by W the newest that has arrived, and sends: see `events.publish`.

        Any gossip method runs so without waiting. `DGD` does what the public code of SWIFT was read to do: it takes its
        gradient at x, sends x, averages it with the newest models of the neighbours, and then steps. The weight of a
        neighbour of which nothing has arrived yet is for the node's own model. With equal speeds and messages that need
        less than a computation it is DGD whose neighbours are one round late.

        Args:
          topology: a graph whose W has rows that sum to one.
          times: what all kinds are given, by name: see `jdl.schedule.message_times.Times`.

        Raises:
          InputError: if W is column stochastic only, if a number is out of range, or if nothing happens up to the
            horizon.

        References:
          Bornstein, Rabbani, Wang, Bedi, Huang 2022, SWIFT: Rapid Decentralized Federated Learning via Wait-Free Model
          Communication (its code was read, the paper was not).
        """
        topology = one_graph(topology)
        need = f"got {topology.name!r} whose rows do not sum to one, a mean needs that; use split, or other weights"
        checks.require(topology.stochastic != "column", need)
        links, n = forms.off_diagonal(topology.weights), topology.n
        acts = events.publish(times.timers(n), links.indptr, links.indices, times.horizon, **times.way(n))
        weights = np.zeros((n, acts.reads.shape[1]))
        receiver = np.repeat(np.arange(n), np.diff(links.indptr))
        weights[receiver, np.arange(receiver.size) - links.indptr[receiver]] = links.data
        return cls._of(acts, n, weights, times)

    @classmethod
    @timed
    def split(cls, topology: Topology | Any, times: Times, most: int = 4) -> Self:
        """Each node that ends a computation adds up what has arrived, and sends half of its mass: see `events.split`.

        It is push-sum without rounds: what nodes hold and what is under way have a constant sum. What arrives at a node
        that is away waits for it. Messages that have not been read at the horizon keep their places.

        Args:
          topology: a graph, directed or not; its weights do not matter. A node may have no out-neighbour.
          times: see `publish`.
          most: the largest number of messages that are read in an act; others wait for the next one.

        Raises:
          InputError: if a number is out of range, or if nothing happens up to the horizon.
        """
        topology = one_graph(topology)
        way = {"latency": times.latency, "transfer": times.transfer, "most": most, "seed": (times.seed, 1)}
        acts, _ = events.split(times.timers(topology.n), *out(topology), times.horizon, **way)
        return cls._of(acts, topology.n, 0.5, times, sums=True)

    @classmethod
    @timed
    def walks(cls, topology: Topology | Any, times: Times, tokens: int = 1) -> Self:
        """Models walk at random, and each node works on those that arrive, one by one: see `events.walks`.

        What arrives takes the place of the node's own model, so that methods must work on what they receive, as `CTA`
        and `GossipLearning` do.

        Args:
          topology: a graph, directed or not; its weights do not matter.
          times: see `publish`.
          tokens: number of models that walk, 1 to n.

        Raises:
          InputError: if a node has no neighbour to send to, if a number is out of range, or if nothing happens up to
            the horizon.
        """
        topology = one_graph(topology)
        when = {"tokens": tokens, "law": times.law, "spread": times.spread, "seed": times.seed}
        way = times.way(topology.n)
        acts = events.walks(times.seconds_per_step, *out(topology), times.horizon, **when, **way)
        return cls._of(acts, topology.n, 1.0, times)
