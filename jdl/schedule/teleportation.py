"""A small graph of models that jumps to other nodes in every round."""

from __future__ import annotations

from typing import Self

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl import plan as plans
from jdl.schedule.handoff import handoff
from jdl.topology import Topology, exponential
from jdl.types import Key, Plan, ScheduleState, Seen, static

__all__ = ["Teleportation"]


@struct.dataclass
class Teleportation:
    """Few models travel: a random set of k nodes computes and mixes, then hands over to the next random set.

    The k = `active` nodes of round t hold a place each in an exponential graph of k. They take their local steps, and
    the l-th node of the next set, drawn uniformly without replacement, takes what place l gets when they mix:
    row new(l) of W(t) holds w_lm in column old(m). All others sleep, their models going stale: the models that count
    are the k active ones, not the mean over nodes. Row stochastic; how well it mixes depends on k alone. With k = n it
    is gossip over the graph under a fresh relabelling in each round.

    The paper's order is fetch, step, gossip; one round here is step, gossip, fetch by the next set, which is the same
    sequence. Mixing and fetching are one exchange, so that a new node hears all whom it averages.

    Sends:
      up to 1 + ceil(log2 k) messages an active node and round.

    Args:
      plan: W of the graph of k active nodes, with slots.
      n: number of nodes, at least k.

    References:
      Takezawa, Stich, "Scalable Decentralized Learning with Teleportation", ICLR 2025.
    """

    plan: Plan
    n: int = static(minimum=1)

    @classmethod
    def for_nodes(cls, n: int, active: int = 8) -> Self:
        """Active nodes on an exponential graph.

        Args:
          n: number of nodes, at least 1.
          active: nodes that compute in a round, k, between 1 and n.

        Raises:
          InputError: for more active nodes than there are.

        >>> import jax
        >>> jump = Teleportation.for_nodes(100, active=4)
        >>> plan, following = jump(jump.init(jax.random.key(0)), 0, jax.random.key(1))
        >>> following.shape, plan.links.weights.shape
        ((4,), (12,))
        """
        return cls.of(exponential(checks.whole("active", active, 1)), n)

    @classmethod
    def of(cls, topology: Topology, n: int) -> Self:
        """The same over a graph of your own, of k nodes: see `Teleportation`.

        Args:
          topology: who mixes with whom among the k active nodes; its rows sum to one.
          n: number of nodes, at least k.

        Raises:
          InputError: if n is less than k, or if W is only column stochastic.

        >>> from jdl.topology import ring
        >>> Teleportation.of(ring(4), 100).n
        100
        """
        n, k = checks.whole("n", n, 1), topology.n
        checks.require(k <= n, f"got active={k} with n={n}, no more nodes than there are can be active; try active={n}")
        columns = f"got {topology.name!r}, whose rows do not sum to one, need those that do; use an undirected graph"
        checks.require(topology.stochastic != "column", columns)
        return cls(plan=topology.plan("slots"), n=n)

    def init(self, key: Key) -> ScheduleState:
        """i32[k], the nodes of the first round."""
        return self._draw(key)

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """What the nodes in `memory` hand over to those that `key` draws; the round does not matter."""
        new, k = self._draw(key), plans.rows(self.plan)
        place, links = jnp.arange(k, dtype=jnp.int32)[:, None], self.plan.links
        sources = jnp.concatenate([place, links.senders], axis=1)
        weights = jnp.concatenate([self.plan.self_weights[:, None], links.weights], axis=1)
        receivers = jnp.broadcast_to(new[:, None], sources.shape)
        # Slots without a link name their own place with weight zero: they send nothing.
        real = jnp.concatenate([jnp.ones((k, 1), bool), links.used], axis=1)
        senders = jnp.where(real, memory[sources], receivers)
        return handoff(self.n, senders.ravel(), receivers.ravel(), weights.ravel()), new

    def _draw(self, key: Key) -> jax.Array:
        return jax.random.permutation(key, jnp.arange(self.n, dtype=jnp.int32))[: plans.rows(self.plan)]
