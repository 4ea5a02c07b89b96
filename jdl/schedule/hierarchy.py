"""Averages within clusters, and now and then between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from scipy.sparse import csr_array

from jdl import checks
from jdl.schedule.cyclic import Cyclic
from jdl.topology import Topology, complete, from_weights, grouped
from jdl.types import Key, Plan, ScheduleState, Seen

__all__ = ["Hierarchy"]


@struct.dataclass
class Hierarchy:
    """Nodes average within their cluster in every round, and in every `period`-th round clusters average as well.

    In most rounds W is the mean of each cluster. In rounds period - 1, 2 period - 1, ... it is two-level: the mean of
    each cluster, at its head; heads mix by W_h; every node takes what its head has: W_ij = (W_h)_{c(i) c(j)} / |c(j)|.
    Without `heads` that is W = J, the mean of all nodes: hierarchical FedAvg, whose clients take the local steps of a
    round between two averages at the edge, and `period` of these between two averages in the cloud. With heads and
    clusters of unequal size W is row stochastic alone, and says so.

    Sends:
      W is applied in one exchange, and traffic counts its links: within clusters |c| - 1 messages a node, to all others
      of it; between them one to every node that hears it. Through heads it would be about 2 messages a node.

    Args:
      levels: the plan within clusters, and that between them.
      period: i32[], rounds from one exchange between clusters to the next, a leaf.

    References:
      Liu, Zhang, Song, Letaief, "Client-Edge-Cloud Hierarchical Federated Learning", ICC 2020, Algorithm 1.
    """

    levels: Cyclic
    period: jax.Array

    @classmethod
    def for_nodes(cls, n: int, clusters: int | Sequence[int], period: int = 10, heads: Topology | None = None) -> Self:
        """Clusters of n nodes, and how they mix.

        Args:
          n: number of nodes, at least 1.
          clusters: how many, of nearly equal size and of consecutive nodes; or i[n], the cluster of each node, from 0.
          period: rounds from one exchange between clusters to the next, at least 1.
          heads: who mixes with whom among clusters, a topology of as many nodes whose rows sum to one.

        Raises:
          InputError: for more clusters than nodes, an empty one, or heads of another number.

        >>> from jdl.topology import to_dense
        >>> two = Hierarchy.for_nodes(4, clusters=2, period=3)
        >>> print(to_dense(two((), 0, None)[0])[0], to_dense(two((), 2, None)[0])[0])
        [0.5 0.5 0.  0. ] [0.25 0.25 0.25 0.25]
        """
        n, period = checks.whole("n", n, 1), checks.whole("period", period, 1)
        if np.ndim(clusters) == 0:
            count = checks.whole("clusters", clusters, 1)
            checks.require(count <= n, f"got clusters={count} with n={n}, each needs a node; try clusters={n}")
            cluster = np.arange(n) * count // n
        else:
            cluster = np.asarray(clusters)
            good = cluster.shape == (n,) and np.issubdtype(cluster.dtype, np.integer) and cluster.min() >= 0
            need = f"need {n} whole numbers from 0 on, none left out; try clusters=2"
            all_there = good and len(np.unique(cluster)) == cluster.max() + 1
            checks.require(all_there, f"got clusters of shape {cluster.shape}, {need}")
            count = int(cluster.max()) + 1
        between = complete(n) if heads is None else _through(heads, cluster, count)
        levels = Cyclic.of([grouped("clusters", cluster), between])
        return cls(levels=levels, period=jnp.asarray(period, jnp.int32))

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.levels.n

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The plan of round t; the key does not matter."""
        between = (jnp.asarray(t, jnp.int32) + 1) % self.period == 0
        return self.levels(memory, between.astype(jnp.int32), key, seen)


def _through(heads: Topology, cluster: np.ndarray, count: int) -> Topology:
    """W_ij = (W_h)_{c(i) c(j)} / |c(j)|."""
    match = f"got heads of {heads.n} nodes and {count} clusters, need one number; give heads of n={count}"
    checks.require(heads.n == count, match)
    columns = f"got {heads.name!r}, whose rows do not sum to one, need those that do; use an undirected graph"
    checks.require(heads.stochastic != "column", columns)
    n, sizes = len(cluster), np.bincount(cluster)
    mean = csr_array((1 / sizes[cluster], (cluster, np.arange(n))), shape=(count, n))
    spread = csr_array((np.ones(n), (np.arange(n), cluster)), shape=(n, count))
    equal = len(set(sizes)) == 1 and heads.stochastic == "doubly"
    return from_weights(spread @ heads.weights @ mean, stochastic="doubly" if equal else "row", allow_disconnected=True)
