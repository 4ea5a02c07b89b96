"""Matchings of a graph that are switched on at random, the important ones more often."""

from __future__ import annotations

from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.topology.graphs.matchings import matchings
from jdl.topology.graphs.random_graphs import random_regular
from jdl.topology.spectrum.activation import activation, best_step
from jdl.topology.topology import Topology
from jdl.types import Key, Plan, ScheduleState, Seen, Slots, number

__all__ = ["Matcha"]


@struct.dataclass
class Matcha:
    """Parts of a random regular graph are used at random, those that connect it more often (MATCHA).

    The edges are coloured (Misra and Gries) into M matchings, at most degree + 1 of them. In each round matching j is
    on with probability p_j, and W(t) = I - alpha sum_j B_j L_j over the Laplacians of those that are, symmetric and
    doubly stochastic (its entries may be negative). p maximises the algebraic connectivity lambda_2(sum_j p_j L_j) with
    sum_j p_j <= budget M; alpha minimises ||E[W'W] - J||, what a round leaves of the squared disagreement at most. Both
    are found on the host, see `jdl.topology.spectrum.activation`; budgets share a program, as p and alpha are leaves.

    Sends:
      `degree` times about `budget` messages a node and round, in expectation.

    Args:
      partners: i32[n, M], whom each node meets in each matching, itself where nobody.
      probabilities: f[M], that a matching is used in a round.
      alpha: step of a matching, at least 0; a leaf.

    References:
      Wang, Sahu, Yang, Joshi, Kar, "MATCHA: Speeding Up Decentralized SGD via Matching Decomposition Sampling", 2019.
      Kelley, "The cutting-plane method for solving convex programs", Journal of the SIAM 8, 1960.
    """

    partners: jax.Array
    probabilities: jax.Array
    alpha: float | jax.Array = number(minimum=0)

    @classmethod
    def for_nodes(cls, n: int, degree: int = 4, budget: float = 0.5, seed: int = 0) -> Self:
        """Matchings of a random regular graph.

        Args:
          n: number of nodes, at least 1.
          degree: neighbours of each node, less than n, and even if n is odd.
          budget: the share of matchings used in a round in expectation, above 0, at most 1.
          seed: of the graph; the same seed gives the same one.

        Raises:
          InputError: if no connected graph of this degree exists, or if `budget` is out of range.

        >>> Matcha.for_nodes(8, degree=3).partners.shape
        (8, 4)
        """
        return cls.of(random_regular(n, degree=degree, seed=seed), budget)

    @classmethod
    def of(cls, topology: Topology, budget: float = 0.5) -> Self:
        """Matchings of a graph of your own, switched on at random: see `Matcha`.

        Args:
          topology: a connected undirected graph; its weights do not matter.
          budget: the share of matchings used in a round in expectation, above 0, at most 1.

        Raises:
          InputError: if W is not symmetric or its graph not connected, or if `budget` is out of range.

        >>> from jdl.topology import ring
        >>> schedule = Matcha.of(ring(4), budget=1.0)
        >>> print(schedule.probabilities, schedule.alpha.round(3))
        [1. 1.] 0.333
        """
        need = f"got budget={budget}, need a share above 0 and at most 1; try budget=0.5"
        checks.require(0 < budget <= 1, need)
        partners, dtype = matchings(topology), jnp.result_type(float)
        p, alpha = np.ones(0), 1.0
        if topology.n > 1:
            alone = f"got {topology.name!r}, whose graph is not connected, need one that is; link its components"
            checks.require(len(partners) > 0, alone)
            p, value, _ = activation(partners, budget)
            checks.require(value > 1e-9, alone)
            alpha = best_step(partners, p)
        return cls(
            partners=jnp.asarray(partners.T, jnp.int32),
            probabilities=jnp.asarray(p, dtype),
            alpha=jnp.asarray(alpha, dtype),
        )

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.partners.shape[0]

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The matchings that `key` draws, one slot each; the round does not matter."""
        own = jnp.arange(self.n, dtype=jnp.int32)[:, None]
        used = jax.random.bernoulli(key, self.probabilities)[None, :] & (self.partners != own)
        weights = jnp.where(used, jnp.asarray(self.alpha, jnp.result_type(float)), 0)
        links = Slots(weights=weights, used=used, senders=jnp.where(used, self.partners, own))
        return Plan(links=links, self_weights=1 - jnp.sum(weights, axis=1), symmetric=True), memory
