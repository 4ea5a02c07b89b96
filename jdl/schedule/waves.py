"""Events that were planned in time, executed in waves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks, events
from jdl.schedule.wave_rows import WaveRows, pairs_in_waves, rows_of, well_filled
from jdl.topology import Topology, forms
from jdl.topology import edge_rates as edge_rates_of
from jdl.topology.graphs.random_graphs import random_regular
from jdl.topology.weights.given import one_graph
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

    `Waves.pairs` plans events in which two nodes average and one of them works, as in AD-PSGD; `Waves.push` those in
    which one node sends and the other, which hears it, works, as in gossip learning; `Waves.poisson` nodes that work
    alone, and pairs that meet without work, as in A2CiD2 and DADAO; `Waves.meetings` pairs that both work, as in
    SwarmSGD.

    Sends:
      2 messages an event of a pair, 1 message a push, none by a node alone.

    Args:
      first: i32[T, e], the first node of each event of a wave; places for nodes alone come before those for pairs.
      second: i32[T, p], the second node in each of the p places for pairs. Places without an event have nodes that take
        part in none of the wave.
      acts: bool[T, e], which places have an event.
      meets: bool[T, p], in which places for pairs the second node takes part; in the others the first one is alone.
      works: bool[T, k], which of the first k rows work, where the rows are those of `first`, then those of `second`.
      elapsed: f[T, e + p], the seconds since the node of each row last took part.
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
      Nabli, Belilovsky, Oyallon 2023, A2CiD2: Accelerating Asynchronous Communication in Decentralized Deep Learning
      (gradients and meetings at Poisson times of their own).
    """

    first: jax.Array
    second: jax.Array
    acts: jax.Array
    meets: jax.Array
    works: jax.Array
    elapsed: jax.Array
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
        apart: bool = False,
        seed: int = 0,
    ) -> Self:
        """Events along the links of a random regular graph, of each node one a second in the mean: see `Waves`.

        Args:
          n: number of nodes, at least 1.
          degree: neighbours of each node, less than n, and even if n is odd.
          horizon: the length of the plan, in seconds.
          law: the law of the time between two acts: "exponential" (Poisson clocks), "log_normal", or "constant".
          push: whether nodes push models; else they average in pairs.
          apart: whether nodes work alone, and meet without work, each once a second at Poisson times of its own.
          seed: of the graph and of the plan.

        Raises:
          InputError: as `random_regular` and `pairs`, or with `apart` if nodes push or have another law.
        """
        graph = random_regular(n, degree=degree, seed=seed)
        if apart:
            plain = not push and law == "exponential"
            got = f"got apart=True with push={push} and law={law!r}"
            checks.require(
                plain, f'{got}, need Poisson clocks of pairs that meet; leave out push, or let law="exponential"'
            )
            return cls.poisson(graph, horizon=horizon, seed=seed)
        return (cls.push if push else cls.pairs)(graph, horizon=horizon, law=law, seed=seed)

    @classmethod
    def pairs(
        cls,
        topology: Topology | Any,
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
          window_events: the number of events of a window; None for windows of one size, of about 4 n.
          window_seconds: the length of a window in seconds, in place of a number of events.
          seed: of all draws.

        Raises:
          InputError: if W is not symmetric, if a node has no neighbour, if a number is out of range, or if nothing
            happens up to the horizon.
        """
        topology = one_graph(topology)
        need = f"got {topology.name!r} whose W is not symmetric, a pair needs a link both ways; use an undirected graph"
        checks.require(topology.symmetric, need)
        links = forms.off_diagonal(topology.weights)
        when = seconds_per_step, horizon, law, spread
        planned = _planned(links.indptr, links.indices, *when, transfer, away, seed)
        return cls._of(planned, topology.n, width, window_events, window_seconds, one_way=False)

    @classmethod
    def push(
        cls,
        topology: Topology | Any,
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
        topology = one_graph(topology)
        links = forms.off_diagonal(topology.weights).T.tocsr()  # the rows are those who send
        sent = _planned(links.indptr, links.indices, seconds_per_step, horizon, law, spread, None, away, seed)
        heard = (sent.node != sent.partner) | (topology.n == 1)
        planned = events.Events(sent.seconds[heard], sent.partner[heard], sent.node[heard])
        return cls._of(planned, topology.n, width, window_events, window_seconds, one_way=True)

    @classmethod
    def poisson(
        cls,
        topology: Topology | Any,
        gradients_per_second: float | np.ndarray = 1.0,
        meetings_per_second: float = 1.0,
        horizon: float = 100.0,
        edge_rates: np.ndarray | None = None,
        away: Iterable[Sequence[float]] = (),
        width: int | None = None,
        padding: float = 0.2,
        window_events: int | None = None,
        window_seconds: float | None = None,
        seed: int = 0,
    ) -> Self:
        """Each node works alone at Poisson times, and the two ends of each edge meet at Poisson times: see `Waves`.

        Args:
          topology: an undirected graph; its weights do not matter.
          gradients_per_second: how often a node works in the mean: one number, or one for each node.
          meetings_per_second: how often a node meets another, in the mean over nodes; all edges are used alike.
          horizon: the length of the plan, in seconds.
          edge_rates: meetings per second of each row of `topology.edges`, in place of `meetings_per_second`.
          away: when nodes are away, rows (node, start, end) in seconds; their events are left out.
          width: the largest number of nodes in a wave that work; pairs have places in proportion. None for an eighth of
            n, halved until no more than `padding` of all places are empty.
          padding: the largest share of empty places, from 0 to 1, where `width` is None.
          window_events: see `pairs`.
          window_seconds: see `pairs`.
          seed: of all draws.

        Raises:
          InputError: as `pairs`, or if nobody works.
        """
        topology = one_graph(topology)
        seed, n = checks.whole("seed", seed, 0), topology.n
        rates = edge_rates_of(topology, meetings_per_second, edge_rates)
        works = events.means("gradients_per_second", gradients_per_second, n, zero=True)
        some = "got gradients_per_second=0, need a node that works; for gossip alone let the step size be 0"
        checks.require(bool(works.any()), some)
        absent = events.absences(away, n)
        acts = events.poisson(works, horizon, n, seed, absent)
        met = events.meetings(rates, topology.edges, horizon, (seed, 1), absent)  # draws of their own
        planned = events.alone_and_meeting(acts, met)
        share = float(rates.sum() / works.sum())
        table, alone = well_filled(planned, n, width, share, window_events, window_seconds, padding)
        rows = rows_of(planned, table, n, alone)
        # Where all places are of one kind, who meets does not work.
        return cls._from(rows, table, n, works=rows.acts[:, :alone] if alone else rows.acts & ~rows.meets)

    @classmethod
    def meetings(
        cls,
        topology: Topology | Any,
        meetings_per_second: float = 1.0,
        horizon: float = 100.0,
        edge_rates: np.ndarray | None = None,
        away: Iterable[Sequence[float]] = (),
        width: int | None = None,
        window_events: int | None = None,
        window_seconds: float | None = None,
        seed: int = 0,
    ) -> Self:
        """The two ends of each edge meet at Poisson times, and both work: see `Waves`.

        Args:
          topology: an undirected graph; its weights do not matter.
          meetings_per_second: see `poisson`.
          horizon: the length of the plan, in seconds.
          edge_rates: see `poisson`.
          away: when nodes are away, rows (node, start, end) in seconds; their meetings are left out.
          width: see `pairs`.
          window_events: see `pairs`.
          window_seconds: see `pairs`.
          seed: of all draws.

        Raises:
          InputError: as `pairs`.
        """
        topology = one_graph(topology)
        rates, n = edge_rates_of(topology, meetings_per_second, edge_rates), topology.n
        absent = events.absences(away, n)
        planned = events.meetings(rates, topology.edges, horizon, (checks.whole("seed", seed, 0), 1), absent)
        table = pairs_in_waves(planned, n, width, window_events, window_seconds)
        rows = rows_of(planned, table, n)
        return cls._from(rows, table, n, works=np.concatenate([rows.acts, rows.meets], axis=1))

    @classmethod
    def _of(
        cls,
        planned: events.Events,
        n: int,
        width: int | None,
        window_events: int | None,
        window_seconds: float | None,
        one_way: bool,
    ) -> Self:
        """The waves of events in which `node` works."""
        table = pairs_in_waves(planned, n, width, window_events, window_seconds)
        rows = rows_of(planned, table, n, alone=int(n == 1))
        return cls._from(rows, table, n, works=rows.acts, one_way=one_way and n > 1)

    @classmethod
    def _from(cls, rows: WaveRows, table: events.WaveTable, n: int, works: np.ndarray, one_way: bool = False) -> Self:
        arrays = [jnp.asarray(x) for x in (rows.first, rows.second, rows.acts, rows.meets, works)]
        elapsed = jnp.asarray(rows.elapsed, jnp.result_type(float))
        return cls(*arrays, elapsed, table.seconds, n=n, waves_per_window=table.per_window, one_way=one_way)

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
        wave, there = jnp.minimum(t, self.waves - 1), t < self.waves
        acts, meets, works = (x[wave] & there for x in (self.acts, self.meets, self.works))
        events, pairs, workers = acts.shape[0], meets.shape[0], works.shape[0]
        alone, rows = events - pairs, events + pairs
        row, nobody = jnp.arange(rows, dtype=jnp.int32), lambda count: jnp.zeros(count, bool)
        used = jnp.concatenate([nobody(alone), meets, nobody(pairs) if self.one_way else meets])
        partner = jnp.concatenate([row[:alone], row[events:], row[alone:events]])
        share = jnp.where(used, 0.5, 0.0).astype(jnp.result_type(float))
        return Plan(
            links=Slots(weights=share[:, None], used=used[:, None], senders=jnp.where(used, partner, row)[:, None]),
            self_weights=1 - share,
            active=jnp.concatenate([acts, meets]),
            works=jnp.concatenate([works, nobody(rows - workers)]),
            elapsed=self.elapsed[wave],
            participants=jnp.concatenate([self.first[wave], self.second[wave]]),
            workers=workers,
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
    absent = events.absences(away, n)
    if transfer is not None:
        both = "got transfer and away, need nodes that stay, where exchanges take time; leave one out"
        checks.require(absent is None, both)
        where = offsets, neighbours
        return events.busy_pairs(seconds_per_step, transfer, horizon, *where, law=law, spread=spread, seed=seed)
    acts = events.devices(seconds_per_step, horizon, n, law, spread, seed, absent)
    return events.paired(acts, offsets, neighbours, (seed, 1), absent)  # draws of their own
