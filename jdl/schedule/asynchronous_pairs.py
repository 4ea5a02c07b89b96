"""Waves of pairs, of which one node works and the other only talks."""

from __future__ import annotations

from typing import Self

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.topology import Topology
from jdl.types import Key, Plan, ScheduleState, Seen, Slots, static

__all__ = ["AsynchronousPairs"]


@struct.dataclass
class AsynchronousPairs:
    """In every round a few nodes finish their work and average with a partner each, as in AD-PSGD; the others sleep.

    Asynchronous time is divided into rounds: a round holds events in which no node takes part twice, so that its `wave`
    pairs are disjoint. In each pair, one node works: it takes its local steps in this round, and starts the exchange.
    Its partner is interrupted and only talks (`plan.works` is false there). W = 1/2 on both, symmetric and doubly
    stochastic. All pairs of nodes are equally likely, and so are the two roles in a pair. With `wave=1` a round is one
    event, as in `Pairwise`, where both nodes work.

    Over given edges, `wave` of them are drawn uniformly without replacement, one after the other. An edge of which a
    node is taken already is left out, so that a round may have fewer pairs.

    Sends:
      2 messages a pair and round.

    Args:
      n: number of nodes, at least 1.
      edges: i32[e, 2], the pairs that may be drawn; None for every pair of nodes.
      wave: pairs drawn in a round, between 1 and n / 2; over edges at most as many as these.

    Raises:
      InputError: if that many pairs cannot be drawn.

    >>> import jax
    >>> plan, _ = AsynchronousPairs(8, wave=3)((), 0, jax.random.key(0))
    >>> int(plan.active.sum()), int(plan.works.sum())
    (6, 3)

    References:
      Lian, Zhang, Zhang, Liu, "Asynchronous Decentralized Parallel Stochastic Gradient Descent", ICML 2018.
    """

    n: int = static(minimum=1)
    edges: jax.Array | None = None
    wave: int = static(1, minimum=1)

    def __post_init__(self) -> None:
        n, wave = checks.whole("n", self.n, 1), checks.whole("wave", self.wave, 1)
        most = max(n // 2, 1)
        fewer = f"got wave={wave} with n={n}, need two nodes for each pair; try wave={most}"
        checks.require(wave <= most, fewer)

    @classmethod
    def for_nodes(cls, n: int, wave: int | None = None) -> Self:
        """Waves of any pairs of n nodes: see `AsynchronousPairs`.

        Args:
          n: number of nodes, at least 1.
          wave: pairs drawn in a round, between 1 and n / 2; None for a quarter of n, so that half of the nodes sleep.

        >>> AsynchronousPairs.for_nodes(16).wave
        4
        """
        return cls(n, wave=max(checks.whole("n", n, 1) // 4, 1) if wave is None else wave)

    @classmethod
    def of(cls, topology: Topology, wave: int = 1) -> Self:
        """Pairs along the edges of a graph: see `AsynchronousPairs`.

        Args:
          topology: an undirected graph; its weights do not matter.
          wave: edges drawn in a round.

        Raises:
          InputError: if W is not symmetric, or if there are not that many edges.

        >>> from jdl.topology import ring
        >>> AsynchronousPairs.of(ring(6), wave=2).edges.shape
        (6, 2)
        """
        need = f"got {topology.name!r} whose W is not symmetric, a pair needs a link both ways; use an undirected graph"
        checks.require(topology.symmetric, need)
        if topology.n == 1:
            return cls(1)
        edges = topology.edges
        few = f"got wave={wave} over {topology.name!r} with {len(edges)} edges, need as many; give a smaller wave"
        checks.require(len(edges) >= wave, few)
        return cls(topology.n, jnp.asarray(edges, jnp.int32), wave)

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The pairs that `key` draws, as one slot a node; the round does not matter."""
        own = jnp.arange(self.n, dtype=jnp.int32)
        if self.edges is None:
            order = jax.random.permutation(key, own)
            # A single node is its own partner.
            worker, partner = order[: self.wave], order[::-1][: self.wave]
        else:
            which, turn = jax.random.split(key)
            drawn = self.edges[jax.random.permutation(which, self.edges.shape[0])[: self.wave]]
            drawn = jnp.where(jax.random.bernoulli(turn, shape=(drawn.shape[0], 1)), drawn, drawn[:, ::-1])
            worker, partner = _disjoint(self.n, drawn).T
        other = own.at[worker].set(partner, mode="drop").at[partner].set(worker, mode="drop")
        works = jnp.zeros(self.n, bool).at[worker].set(True, mode="drop")
        used = other != own
        share = jnp.where(used, 0.5, 0.0).astype(jnp.result_type(float))
        links = Slots(weights=share[:, None], used=used[:, None], senders=other[:, None])
        return Plan(links=links, self_weights=1 - share, active=used | works, works=works, symmetric=True), memory


def _disjoint(n: int, pairs: jax.Array) -> jax.Array:
    """i32[c, 2], the pairs one after the other; (n, n) stands for a pair of which a node is taken already."""

    def one(taken: jax.Array, pair: jax.Array) -> tuple[jax.Array, jax.Array]:
        free = ~jnp.any(taken[pair])
        return taken.at[pair].max(free), jnp.where(free, pair, n)

    return jax.lax.scan(one, jnp.zeros(n, bool), pairs)[1]
