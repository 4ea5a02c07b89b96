"""A fixed graph on which neighbours swap places."""

from __future__ import annotations

from typing import Self

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl import plan as plans
from jdl.schedule.relabel import relabel
from jdl.topology.graphs.random_graphs import random_regular
from jdl.topology.topology import Topology
from jdl.types import Key, Plan, ScheduleState, Seen, static

__all__ = ["PeerSwap"]


@struct.dataclass
class PeerSwap:
    """A random regular graph that drifts: nodes swap their neighbourhoods with random neighbours (PeerSwap).

    W = 1 / (degree + 1) on the node and its neighbours; after each round, `swaps` times, a uniformly random edge is
    drawn and its two nodes change places. The graph stays what it is, and so do its degrees and its spectrum; who
    stands where is the interchange process, whose stationary distribution is uniform over all n! placements. The more
    swaps, the nearer to `Epidemic`; with none it is the fixed graph, in which round 0 begins.

    Sends:
      `degree` messages a node and round. (The ids that a swap exchanges are not counted.)

    Args:
      plan: of the places, with slots.
      edges: i32[e, 2], the pairs of places that are linked.
      swaps: pairs that change places after each round, one after the other.

    References:
      Guerraoui, Kermarrec, Kucherenko, Pinot, de Vos, "PeerSwap: A Peer-Sampler with Randomness Guarantees",
      SRDS 2024.
    """

    plan: Plan
    edges: jax.Array
    swaps: int = static(0, minimum=0)

    @classmethod
    def for_nodes(cls, n: int, degree: int = 4, swaps: int | None = None, seed: int = 0) -> Self:
        """A random regular graph that drifts.

        Args:
          n: number of nodes, at least 1.
          degree: neighbours of each node, less than n, and even if n is odd.
          swaps: pairs that change places after each round, one after the other; None for n / 2, one swap a node.
          seed: of the graph; the same seed gives the same one.

        Raises:
          InputError: if no connected graph of this degree exists.

        >>> import jax
        >>> drift = PeerSwap.for_nodes(8, degree=3, swaps=1)
        >>> _, order = drift(drift.init(jax.random.key(0)), 0, jax.random.key(1))
        >>> int((order != drift.init(jax.random.key(0))).sum())
        2
        """
        return cls.of(random_regular(n, degree=degree, seed=seed), swaps)

    @classmethod
    def of(cls, topology: Topology, swaps: int | None = None) -> Self:
        """Neighbours on a graph of your own swap places: see `PeerSwap`.

        Args:
          topology: an undirected graph; who stands where changes, its weights stay with the places.
          swaps: pairs that change places after each round, one after the other; None for n / 2.

        Raises:
          InputError: if W is not symmetric.

        >>> from jdl.topology import ring
        >>> PeerSwap.of(ring(6)).swaps
        3
        """
        swaps = topology.n // 2 if swaps is None else checks.whole("swaps", swaps, 0)
        need = f"got {topology.name!r} whose W is not symmetric, a swap needs links both ways; use an undirected graph"
        checks.require(topology.symmetric, need)
        edges = jnp.asarray(topology.edges.reshape(-1, 2), jnp.int32)
        return cls(plan=topology.plan("slots"), edges=edges, swaps=swaps if len(edges) else 0)

    @property
    def n(self) -> int:
        """The number of nodes."""
        return plans.rows(self.plan)

    def init(self, key: Key) -> ScheduleState:
        """i32[n], the node in each place: everybody in its own."""
        return jnp.arange(self.n, dtype=jnp.int32)

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The graph with the nodes placed as `memory` says, and the places after the swaps that `key` draws."""
        now = relabel(self.plan, memory)
        if not self.swaps:
            return now, memory
        chosen = self.edges[jax.random.randint(key, (self.swaps,), 0, self.edges.shape[0], jnp.int32)]

        def swap(number: jax.Array, order: jax.Array) -> jax.Array:
            pair = chosen[number]
            return order.at[pair].set(order[pair[::-1]])

        return now, jax.lax.fori_loop(0, self.swaps, swap, memory)
