"""Events that were planned in time, executed in waves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks, events
from jdl.topology import Topology, forms
from jdl.topology.graphs.random_graphs import random_regular
from jdl.types import Key, Plan, ScheduleState, Seen, Slots, static

__all__ = ["Waves"]


@struct.dataclass
class Waves:
    """Asynchronous events, planned in seconds before the run: each round is a wave of events that share no node.

    A wave has rows for the nodes that take part, and for no others, so that its cost does not depend on n. To execute
    the waves is to execute the events one at a time in the order of time, since no event comes before an earlier one of
    its nodes. Waves come in windows of `waves_per_window`, which hold all events of a stretch of time; after the last
    wave of a window the models are those of the second `seconds_at`. To evaluate there, let `eval_every` be a multiple
    of `waves_per_window`. A run takes at most `waves` rounds.

    `Waves.pairs` plans events in which two nodes average and one of them works, as in AD-PSGD; `Waves.push` plans those
    in which one node sends and the other, which hears it, works, as in gossip learning.

    Sends:
      2 messages an event of a pair, 1 message a push.

    Args:
      first: i32[T, w], the node that works in each event of a wave.
      second: i32[T, w], the node that only talks. Events that there are not have nodes of no other event of the wave.
      acts: bool[T, w], which events there are.
      meets: bool[T, w], in which of them the second node takes part; the others are those of a node alone.
      seconds_at: f[T + 1], the second at which all events of the first t waves have happened.
      n: number of nodes.
      waves_per_window: number of waves in each window.
      one_way: whether the second node only sends; else it averages as well.

    >>> from jdl.topology import ring
    >>> waves = Waves.pairs(ring(8), horizon=10.0, width=2)
    >>> plan, _ = waves((), 0, None)
    >>> plan.participants.shape, int(plan.works.sum())
    ((4,), 2)

    References:
      Lian, Zhang, Zhang, Liu 2018, Asynchronous Decentralized Parallel Stochastic Gradient Descent (pairs).
      Ormandi, Hegedus, Jelasity 2013, Gossip learning with linear models on fully distributed data (pushes).
    """

    first: jax.Array
    second: jax.Array
    acts: jax.Array
    meets: jax.Array
    seconds_at: jax.Array
    n: int = static(minimum=1)
    waves_per_window: int = static(1, minimum=1)
    one_way: bool = static(False)

    @classmethod
    def for_nodes(
        cls,
        n: int,
        degree: int = 4,
        horizon: float = 100.0,
        law: str = "exponential",
        push: bool = False,
        seed: int = 0,
    ) -> Self:
        """Events along the links of a random regular graph, of each node one a second in the mean: see `Waves`.

        Args:
          n: number of nodes, at least 1.
          degree: neighbours of each node, less than n, and even if n is odd.
          horizon: the length of the plan, in seconds.
          law: the law of the time between two acts: "exponential" (Poisson clocks), "log_normal", or "constant".
          push: whether nodes push models; else they average in pairs.
          seed: of the graph and of the plan.
        """
        graph = random_regular(n, degree=degree, seed=seed)
        return (cls.push if push else cls.pairs)(graph, horizon=horizon, law=law, seed=seed)

    @classmethod
    def pairs(
        cls,
        topology: Topology,
        seconds_per_step: float | np.ndarray = 1.0,
        horizon: float = 100.0,
        law: str = "exponential",
        spread: float = 0.5,
        transfer: float | None = None,
        away: Iterable[Sequence[float]] = (),
        width: int | None = None,
        window_events: int | None = None,
        window_seconds: float | None = None,
        seed: int = 0,
    ) -> Self:
        """Each node that ends a computation averages with a random neighbour, and begins the next one: see `Waves`.

        Args:
          topology: an undirected graph; its weights do not matter.
          seconds_per_step: the mean duration of a computation: one number, or one for each node.
          horizon: the length of the plan, in seconds.
          law: the law of a duration: "exponential" (Poisson clocks), "log_normal", or "constant".
          spread: the standard deviation of the logarithm of a log-normal duration.
          transfer: seconds of an exchange, which keeps both nodes from other exchanges, and the one that asked for it
            from computing; None for exchanges that take no time. See `jdl.events.busy_pairs`.
          away: when nodes are away, rows (node, start, end) in seconds; who finds its partner away works alone.
          width: the largest number of events of a wave, at most n / 2; None for an eighth of n.
          window_events: the number of events of a window; None for 4 n where `window_seconds` is None as well.
          window_seconds: the length of a window in seconds, in place of a number of events.
          seed: of all draws.

        Raises:
          InputError: if W is not symmetric, if a node has no neighbour, if a number is out of range, or if nothing
            happens up to the horizon.
        """
        need = f"got {topology.name!r} whose W is not symmetric, a pair needs a link both ways; use an undirected graph"
        checks.require(topology.symmetric, need)
        links = forms.off_diagonal(topology.weights)
        when = seconds_per_step, horizon, law, spread
        planned = _planned(links.indptr, links.indices, *when, transfer, away, seed)
        return cls._of(planned, topology.n, width, window_events, window_seconds, one_way=False)

    @classmethod
    def push(
        cls,
        topology: Topology,
        seconds_per_step: float | np.ndarray = 1.0,
        horizon: float = 100.0,
        law: str = "exponential",
        spread: float = 0.5,
        away: Iterable[Sequence[float]] = (),
        width: int | None = None,
        window_events: int | None = None,
        window_seconds: float | None = None,
        seed: int = 0,
    ) -> Self:
        """Each node sends its model, time and again, to a random out-neighbour, which works on it: see `Waves`.

        What is sent to a node that is away is lost. A single node works alone.

        Args:
          topology: a graph, directed or not; its weights do not matter.
          seconds_per_step: the mean time between two messages of a node: one number, or one for each node.
          horizon: the length of the plan, in seconds.
          law: the law of this time: "exponential" (Poisson clocks), "log_normal", or "constant".
          spread: the standard deviation of the logarithm of a log-normal time.
          away: when nodes are away, rows (node, start, end) in seconds.
          width: see `pairs`.
          window_events: see `pairs`.
          window_seconds: see `pairs`.
          seed: of all draws.

        Raises:
          InputError: as `pairs`, but for the symmetry of W.
        """
        links = forms.off_diagonal(topology.weights).T.tocsr()  # the rows are those who send
        sent = _planned(links.indptr, links.indices, seconds_per_step, horizon, law, spread, None, away, seed)
        heard = (sent.node != sent.partner) | (topology.n == 1)
        planned = events.Events(sent.seconds[heard], sent.partner[heard], sent.node[heard])
        return cls._of(planned, topology.n, width, window_events, window_seconds, one_way=True)

    @classmethod
    def _of(
        cls, planned: events.Events, n: int, width: int | None, count: int | None, seconds: float | None, one_way: bool
    ) -> Self:
        """The waves of events in which `node` works."""
        most = max(n // 2, 1)
        width = max(n // 8, 1) if width is None else checks.whole("width", width, 1)
        fewer = f"got width={width} with n={n}, need two nodes for each event; try width={most}"
        checks.require(width <= most, fewer)
        table = events.waves(planned, n, width, count, seconds)
        acts = table.event >= 0
        node, partner = (side[table.event] for side in (planned.node, planned.partner))
        meets = acts & (node != partner)
        sides = _distinct(node, partner, acts, meets) if n > 1 else (node, partner)
        arrays = [jnp.asarray(x) for x in (*sides, acts, meets)]
        seconds_at = jnp.asarray(table.seconds, jnp.result_type(float))
        return cls(*arrays, seconds_at, n=n, waves_per_window=table.per_window, one_way=one_way)

    @property
    def waves(self) -> int:
        """The number of waves, the largest number of rounds of a run."""
        return self.first.shape[-2]

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """Wave t; the key does not matter. After the last one nobody acts."""
        wave = jnp.minimum(t, self.waves - 1)
        acts, meets = (x[wave] & (t < self.waves) for x in (self.acts, self.meets))
        first, second = self.first[wave], self.second[wave]
        width = first.shape[0]
        row = jnp.arange(width, dtype=jnp.int32)
        nobody = jnp.zeros(width, bool)
        if self.n == 1:
            links = Slots(jnp.zeros((1, 1), jnp.result_type(float)), nobody[:, None], row[:, None])
            own = jnp.ones(1, jnp.result_type(float))
            return Plan(links, own, acts, acts, participants=first, symmetric=True), memory
        used = jnp.concatenate([meets, nobody if self.one_way else meets])
        senders = jnp.where(used, jnp.concatenate([row + width, row]), jnp.arange(2 * width, dtype=jnp.int32))
        share = jnp.where(used, 0.5, 0.0).astype(jnp.result_type(float))
        return Plan(
            links=Slots(weights=share[:, None], used=used[:, None], senders=senders[:, None]),
            self_weights=1 - share,
            active=jnp.concatenate([acts, meets]),
            works=jnp.concatenate([acts, nobody]),
            participants=jnp.concatenate([first, second]),
            workers=width,
            stochastic="row" if self.one_way else "doubly",
            symmetric=not self.one_way,
        ), memory


def _planned(
    offsets: np.ndarray,
    neighbours: np.ndarray,
    seconds_per_step: float | np.ndarray,
    horizon: float,
    law: str,
    spread: float,
    transfer: float | None,
    away: Iterable[Sequence[float]],
    seed: int,
) -> events.Events:
    """The events: who acts when, and with whom."""
    n, seed = len(offsets) - 1, checks.whole("seed", seed, 0)
    away = list(away)
    if transfer is not None:
        both = "got transfer and away, need nodes that stay, where exchanges take time; leave one out"
        checks.require(not away, both)
        where = offsets, neighbours
        return events.busy_pairs(seconds_per_step, transfer, horizon, *where, law=law, spread=spread, seed=seed)
    absent = events.Absences(away, n) if away else None
    acts = events.devices(seconds_per_step, horizon, n, law, spread, seed, absent)
    return events.paired(acts, offsets, neighbours, (seed, 1), absent)  # draws of their own


def _distinct(
    node: np.ndarray, partner: np.ndarray, acts: np.ndarray, meets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both sides of all waves, where the places of nobody are filled with nodes that the wave does not have.

    Of the first m nodes, a wave with a of them and m places leaves at least m - a.
    """
    both, there = np.concatenate([node, partner], axis=1), np.concatenate([acts, meets], axis=1)
    total, m = both.shape
    taken = np.zeros((total, m + 1), bool)
    wave, place = np.nonzero(there)
    taken[wave, np.minimum(both[wave, place], m)] = True
    free = ~taken[:, :m]
    rank = np.cumsum(free, axis=1)
    missing = (~there).sum(axis=1)
    spare = np.nonzero(free & (rank <= missing[:, None]))[1]
    both[~there] = spare
    return tuple(np.split(both.astype(np.int32), 2, axis=1))
