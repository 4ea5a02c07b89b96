"""Every node listens to a few random neighbours of a graph in each round."""

from __future__ import annotations

from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.compressors.top_k import largest
from jdl.topology.graphs.random_graphs import random_regular
from jdl.topology.topology import Topology
from jdl.types import Key, Plan, ScheduleState, Seen, Slots, number

__all__ = ["RandomNeighbours"]


@struct.dataclass
class RandomNeighbours:
    """Every node listens to a few random neighbours of a random regular graph in each round, r of them on average.

    Each node draws for itself: floor(r) of its neighbours without replacement, and one more with probability
    r - floor(r), but at most all it has. With r below 1 it listens to one neighbour with probability r, and to nobody
    otherwise. W_ij = 1 / (1 + m_i) for itself and the m_i chosen ones: row stochastic, as a node that listens need not
    be listened to. Over the complete graph it is the random graph of the authors. For links that are used both ways,
    each with probability p in every round, use `GilbertElliott` with fail = 1 - p and recover = p.

    Sends:
      r messages a node and round on average.

    Args:
      neighbours: i32[n, k], the neighbours of each node in the graph, itself where it has fewer than k.
      listen: average number r of neighbours to which a node listens, at least 0; a leaf, so a sweep over it is one
        program.

    References:
      Zhu, Zhang, Wang, Zhou, Wang 2026, On the Surprising Effectiveness of a Single Global Merging in Decentralized
      Learning, ICLR; the draw is that of the authors' code (`gossip_matrix.py`), whose r counts the node itself.
    """

    neighbours: jax.Array
    listen: float | jax.Array = number(1.0, minimum=0)

    @classmethod
    def for_nodes(cls, n: int, degree: int = 4, listen: float = 1.0, seed: int = 0) -> Self:
        """A few random neighbours of a random regular graph.

        Args:
          n: number of nodes, at least 1.
          degree: neighbours of each node in the graph, less than n, and even if n is odd.
          listen: average number of neighbours to which a node listens in a round, which may be below 1; a leaf.
          seed: of the graph; the same seed gives the same one.

        Raises:
          InputError: if no connected graph of this degree exists.

        >>> import jax
        >>> schedule = RandomNeighbours.for_nodes(8, degree=4, listen=2.0)
        >>> schedule((), 0, jax.random.key(0))[0].links.used.sum(axis=1)
        Array([2, 2, 2, 2, 2, 2, 2, 2], dtype=int32)
        """
        return cls.of(random_regular(n, degree=degree, seed=seed), listen)

    @classmethod
    def of(cls, topology: Topology, listen: float = 1.0) -> Self:
        """A few random neighbours of a graph of your own.

        Args:
          topology: the base graph; of a directed one, the nodes to which a node listens. Its weights do not matter.
          listen: average number of neighbours to which a node listens in a round, which may be below 1; a leaf.

        Raises:
          InputError: if it is not a topology.

        >>> from jdl.topology import ring
        >>> RandomNeighbours.of(ring(5)).neighbours.tolist()
        [[1, 4], [0, 2], [1, 3], [2, 4], [0, 3]]
        """
        got = f"got a graph of type {type(topology).__name__}, need one topology"
        checks.require(isinstance(topology, Topology), f"{got}; try RandomNeighbours.of(jdl.topology.ring(8))")
        links = topology.weights.tolil()
        links.setdiag(0)
        links = links.tocsr()
        links.eliminate_zeros()
        links.sort_indices()
        count = np.diff(links.indptr)
        neighbours = np.tile(np.arange(topology.n)[:, None], (1, int(count.max())))
        neighbours[np.arange(neighbours.shape[1]) < count[:, None]] = links.indices
        return cls(neighbours=jnp.asarray(neighbours, jnp.int32), listen=listen)

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.neighbours.shape[0]

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The neighbours that `key` draws, one slot each; the round does not matter."""
        own, (first, more) = jnp.arange(self.n, dtype=jnp.int32)[:, None], jax.random.split(key)
        there = self.neighbours != own
        dtype = jnp.result_type(float)
        listen = jnp.asarray(self.listen, dtype)
        whole = jnp.floor(listen)
        extra = jax.random.uniform(more, (self.n,)) < listen - whole
        heard = jnp.minimum(whole + extra.astype(dtype), jnp.sum(there, axis=1, dtype=dtype))
        # The m largest of random numbers are a sample without replacement; places without a neighbour hold none.
        lots = jnp.where(there, 1 + jax.random.uniform(first, there.shape), 0)
        used = jax.vmap(largest)(lots, heard.astype(jnp.int32)) & there
        share = 1 / (1 + heard)
        weights = jnp.where(used, share[:, None], 0)
        links = Slots(weights=weights, used=used, senders=jnp.where(used, self.neighbours, own))
        return Plan(links=links, self_weights=share, stochastic="row"), memory
