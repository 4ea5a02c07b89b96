"""Plans of messages of nodes that never wait: whoever ends a computation goes on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np

from jdl import checks, events
from jdl.schedule.message_acts import out, timers
from jdl.topology import Topology, forms
from jdl.topology.weights.given import one_graph

__all__ = ["FreeMessages"]


class FreeMessages:
    """The kinds of `Messages` in which nodes mix when their own computations end."""

    @classmethod
    def publish(
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
        """Each node that ends a computation mixes by W the newest that has arrived, and sends: see `events.publish`.

        Any gossip method runs so without waiting. `DGD` does what the public code of SWIFT was read to do: it takes its
        gradient at x, sends x, averages it with the newest models of the neighbours, and then steps. The weight of a
        neighbour of which nothing has arrived yet is for the node's own model. With equal speeds and messages that need
        less than a computation it is DGD whose neighbours are one round late.

        Args:
          topology: a graph whose W has rows that sum to one.
          seconds_per_step: the mean duration of a computation: one number, or one for each node.
          horizon: see `push`.
          law: the law of a duration: "exponential" (Poisson clocks), "log_normal", or "constant".
          spread: see `push`.
          latency: see `push`.
          transfer: see `push`.
          away: see `push`.
          width: the largest number of acts of a wave, at most n; None for an eighth of n.
          window_events: see `push`.
          window_seconds: see `push`.
          seed: see `push`.

        Raises:
          InputError: as `push`, or if W is column stochastic only.

        References:
          Bornstein, Rabbani, Wang, Bedi, Huang 2022, SWIFT: Rapid Decentralized Federated Learning via Wait-Free Model
          Communication (its code was read, the paper was not).
        """
        topology = one_graph(topology)
        need = f"got {topology.name!r} whose rows do not sum to one, a mean needs that; use split, or other weights"
        checks.require(topology.stochastic != "column", need)
        clocks, absent = timers(topology.n, seconds_per_step, horizon, law, spread, away, seed)
        links = forms.off_diagonal(topology.weights)
        way = {"latency": latency, "transfer": transfer, "away": absent}
        acts = events.publish(clocks, links.indptr, links.indices, horizon, **way)
        weights = np.zeros((topology.n, acts.reads.shape[1]))
        receiver = np.repeat(np.arange(topology.n), np.diff(links.indptr))
        weights[receiver, np.arange(receiver.size) - links.indptr[receiver]] = links.data
        return cls._of(acts, topology.n, weights, width, window_events, window_seconds)

    @classmethod
    def split(
        cls,
        topology: Topology | Any,
        seconds_per_step: float | np.ndarray = 1.0,
        horizon: float = 100.0,
        law: str = "exponential",
        spread: float = 0.5,
        latency: float | np.ndarray = 0.0,
        transfer: float = 0.0,
        most: int = 4,
        away: Iterable[Sequence[float]] = (),
        width: int | None = None,
        window_events: int | None = None,
        window_seconds: float | None = None,
        seed: int = 0,
    ) -> Self:
        """Each node that ends a computation adds up what has arrived, and sends half of its mass: see `events.split`.

        It is push-sum without rounds: what nodes hold and what is under way have a constant sum. Messages that have
        not been read at the horizon keep their places.

        Args:
          topology: a graph, directed or not; its weights do not matter.
          seconds_per_step: see `publish`.
          horizon: see `push`.
          law: see `publish`.
          spread: see `push`.
          latency: see `push`.
          transfer: see `push`.
          most: the largest number of messages that are read in an act; others wait for the next one.
          away: when nodes are away, rows (node, start, end) in seconds; what arrives then waits for them.
          width: see `publish`.
          window_events: see `push`.
          window_seconds: see `push`.
          seed: see `push`.

        Raises:
          InputError: as `push`, except that a node may have no out-neighbour.
        """
        topology = one_graph(topology)
        clocks, _ = timers(topology.n, seconds_per_step, horizon, law, spread, away, seed)
        way = {"latency": latency, "transfer": transfer, "most": most, "seed": (seed, 1)}
        acts, _ = events.split(clocks, *out(topology), horizon, **way)
        return cls._of(acts, topology.n, 0.5, width, window_events, window_seconds, sums=True)

    @classmethod
    def walks(
        cls,
        topology: Topology | Any,
        seconds_per_step: float | np.ndarray = 1.0,
        horizon: float = 100.0,
        law: str = "exponential",
        spread: float = 0.5,
        latency: float | np.ndarray = 0.0,
        transfer: float = 0.0,
        tokens: int = 1,
        away: Iterable[Sequence[float]] = (),
        width: int | None = None,
        window_events: int | None = None,
        window_seconds: float | None = None,
        seed: int = 0,
    ) -> Self:
        """Models walk at random, and each node works on those that arrive, one by one: see `events.walks`.

        What arrives takes the place of the node's own model, so that methods must work on what they receive, as `CTA`
        and `GossipLearning` do.

        Args:
          topology: see `push`.
          seconds_per_step: see `publish`.
          horizon: see `push`.
          law: see `publish`.
          spread: see `push`.
          latency: see `push`.
          transfer: see `push`.
          tokens: number of models that walk, 1 to n.
          away: see `push`.
          width: see `push`.
          window_events: see `push`.
          window_seconds: see `push`.
          seed: see `push`.

        Raises:
          InputError: as `push`.
        """
        topology = one_graph(topology)
        n, seed = topology.n, checks.whole("seed", seed, 0)
        when = {"tokens": tokens, "law": law, "spread": spread}
        way = {"latency": latency, "transfer": transfer, "away": events.absences(away, n), "seed": seed}
        acts = events.walks(seconds_per_step, *out(topology), horizon, **when, **way)
        return cls._of(acts, n, 1.0, width, window_events, window_seconds)
