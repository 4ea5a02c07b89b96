"""A random regular graph with its nodes shuffled in every round (EL-Oracle)."""

from __future__ import annotations

from typing import Self

import jax
import jax.numpy as jnp
from flax import struct

from jdl import plan as plans
from jdl.schedule.relabel import relabel
from jdl.topology.graphs.random_graphs import random_regular
from jdl.types import Key, Plan, ScheduleState, Seen

__all__ = ["Epidemic"]


@struct.dataclass
class Epidemic:
    """Every node averages with a few random others, drawn anew each round as a regular graph (EL-Oracle).

    W(t) = (I + A(t)) / (s + 1) with s = `degree`, symmetric and doubly stochastic. A(t) is one connected random
    s-regular graph, drawn on the host, whose nodes a uniformly random permutation shuffles in every round: every pair
    is linked with probability s / (n - 1), and a round leaves (1 - s / (n - 1)) / (s + 1) of the squared disagreement
    in expectation, whatever n.

    Sends:
      `degree` messages a node and round.

    Args:
      plan: of the graph before anybody moved, with slots.

    References:
      de Vos, Farhadkhani, Guerraoui, Kermarrec, Pires, Sharma, "Epidemic Learning: Boosting Decentralized Learning with
      Randomized Communication", NeurIPS 2023, EL-Oracle.
    """

    plan: Plan

    @classmethod
    def for_nodes(cls, n: int, degree: int = 4, seed: int = 0) -> Self:
        """A random regular graph, whose nodes change places in every round.

        Args:
          n: number of nodes, at least 1.
          degree: peers of each node in a round, less than n, and even if n is odd. For degree 1 see `Matching`.
          seed: of the graph; the same seed gives the same one.

        Raises:
          InputError: if no connected graph of this degree exists.

        >>> import jax
        >>> plan, _ = Epidemic.for_nodes(6, degree=3)((), 0, jax.random.key(0))
        >>> print(plan.self_weights)
        [0.25 0.25 0.25 0.25 0.25 0.25]
        """
        return cls(random_regular(n, degree=degree, seed=seed).plan("slots"))

    @property
    def n(self) -> int:
        """The number of nodes."""
        return plans.rows(self.plan)

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The graph under the permutation that `key` draws; the round does not matter."""
        order = jax.random.permutation(key, jnp.arange(self.n, dtype=jnp.int32))
        return relabel(self.plan, order), memory
