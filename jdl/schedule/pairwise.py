"""One random pair of nodes in every round."""

from __future__ import annotations

from typing import Self

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.topology.topology import Topology
from jdl.types import Key, Plan, ScheduleState, Seen, Slots, static

__all__ = ["Pairwise"]


@struct.dataclass
class Pairwise:
    """One random pair of nodes averages in each round; everybody else sleeps.

    W(t) = 1/2 on the two nodes, symmetric and doubly stochastic; each pair is drawn with probability 2 / (n (n - 1)). A
    round is one event: the others neither compute nor talk, and a round leaves 1 - 1 / (n - 1) of the squared
    disagreement in expectation, n of them about exp(-1). Where all are to talk in a round, see `Matching`.

    Sends:
      2 messages a round in all.

    Args:
      n: number of nodes, at least 1.
      edges: i32[e, 2], the pairs that may be drawn, each as likely as the other; None for every pair of nodes.

    >>> import jax
    >>> plan, _ = Pairwise(4)((), 0, jax.random.key(0))
    >>> print(plan.self_weights.sort())
    [0.5 0.5 1.  1. ]

    References:
      Boyd, Ghosh, Prabhakar, Shah, "Randomized gossip algorithms", IEEE Transactions on Information Theory 52, 2006.
    """

    n: int = static(minimum=1)
    edges: jax.Array | None = None

    def __post_init__(self) -> None:
        checks.whole("n", self.n, 1)

    @classmethod
    def of(cls, topology: Topology) -> Self:
        """One random edge of a graph in each round, all edges equally likely.

        With L the Laplacian of a graph of m edges, a round leaves at most 1 - lambda_2(L) / (2 m) of the squared
        disagreement in expectation.

        Args:
          topology: an undirected graph; its weights do not matter.

        Raises:
          InputError: if W is not symmetric, or if several nodes have no edge.

        >>> from jdl.topology import ring
        >>> Pairwise.of(ring(5)).edges.shape
        (5, 2)
        """
        need = f"got {topology.name!r} whose W is not symmetric, a pair needs a link both ways; use an undirected graph"
        checks.require(topology.symmetric, need)
        if topology.n == 1:
            return cls(1)
        checks.require(
            topology.edge_count > 0, f"got {topology.name!r} without edges, need one at least; link some nodes"
        )
        return cls(topology.n, jnp.asarray(topology.edges, jnp.int32))

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The pair that `key` draws, as one slot a node; the round does not matter."""
        if self.edges is None:
            one, far = jax.random.split(key)
            left = jax.random.randint(one, (), 0, self.n, jnp.int32)
            right = (left + jax.random.randint(far, (), 1, max(self.n, 2), jnp.int32)) % self.n
        else:
            left, right = self.edges[jax.random.randint(key, (), 0, self.edges.shape[0])]
        own = jnp.arange(self.n, dtype=jnp.int32)
        partner = own.at[left].set(right).at[right].set(left)
        used = partner != own
        share = jnp.where(used, 0.5, 0.0).astype(jnp.result_type(float))
        active = (own == left) | (own == right)
        links = Slots(weights=share[:, None], used=used[:, None], senders=partner[:, None])
        return Plan(links=links, self_weights=1 - share, active=active, symmetric=True), memory
