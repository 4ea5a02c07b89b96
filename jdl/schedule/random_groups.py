"""Disjoint random groups that average exactly, drawn anew in every round."""

from __future__ import annotations

from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.types import Groups, Key, Plan, ScheduleState, Seen, static

__all__ = ["RandomGroups"]


@struct.dataclass
class RandomGroups:
    """All nodes of a group average exactly, in groups drawn anew each round (Moshpit's random groups).

    W_ij(t) = 1 / M for i and j in one group of M, symmetric and doubly stochastic. All divisions into r = ceil(n /
    (degree + 1)) groups are equally likely; sizes differ by one where r does not divide n, and no group is larger than
    degree + 1. With equal sizes a round leaves (r - 1) / (n - 1) of the variance over nodes in expectation.

    Sends:
      `degree` messages a node and round, to the rest of its group (less in a smaller group).

    Args:
      n: number of nodes, at least 1.
      groups: number of groups, at least 1.

    References:
      Ryabinin, Gorbunov, Plokhotnyuk, Pekhimenko, "Moshpit SGD: Communication-Efficient Decentralized Training on
      Heterogeneous Unreliable Devices", NeurIPS 2021.
    """

    n: int = static(minimum=1)
    groups: int = static(minimum=1)

    @classmethod
    def for_nodes(cls, n: int, degree: int = 4) -> Self:
        """As many groups as leave none with more than `degree` + 1 nodes.

        Args:
          n: number of nodes, at least 1.
          degree: size of a group minus one.

        >>> import jax
        >>> plan, _ = RandomGroups.for_nodes(5, degree=2)((), 0, jax.random.key(0))
        >>> print(plan.links.used)
        [[ True  True  True]
         [ True  True False]]
        """
        n, degree = checks.whole("n", n, 1), checks.whole("degree", degree, 0)
        return cls(n=n, groups=-(-n // (degree + 1)))

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The groups that `key` deals; the round does not matter."""
        n, g = self.n, self.groups
        order = jax.random.permutation(key, jnp.arange(n, dtype=jnp.int32))
        seat = np.arange(g)[:, None] + g * np.arange(-(-n // g))[None, :]  # cards are dealt round by round
        used = seat < n
        members = order[np.where(used, seat, seat[:, :1])]
        group = jnp.zeros(n, jnp.int32).at[order].set(jnp.asarray(np.arange(n) % g, jnp.int32))
        share = jnp.asarray(1 / used.sum(axis=1), jnp.result_type(float))
        links = Groups(members=members, used=jnp.asarray(used), group=group)
        return Plan(links=links, self_weights=share[group], symmetric=True), memory
