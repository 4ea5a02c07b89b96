"""The same plan in every round."""

from __future__ import annotations

from typing import Self

import jax
import numpy as np
from flax import struct
from scipy.sparse import coo_array, csgraph

from jdl import plan as plans
from jdl.topology import Topology
from jdl.types import Groups, Key, Plan, ScheduleState, Seen, Server

__all__ = ["Fixed", "is_tree"]


@struct.dataclass
class Fixed:
    """The schedule in which every link of one topology is used in every round.

    Args:
      plan: who talks, with which weights, in the form in which it is mixed.
    """

    plan: Plan

    @classmethod
    def of(cls, topology: Topology) -> Self:
        """The schedule in which every link of one topology is used in every round.

        Args:
          topology: who talks; its plan takes the cheapest form. For another one, `Fixed(topology.plan(form))`.

        >>> from jdl.topology import ring
        >>> Fixed.of(ring(8)).n
        8
        """
        return cls(topology.plan())

    @property
    def n(self) -> int:
        """The number of nodes."""
        return plans.rows(self.plan)

    @property
    def provides(self) -> frozenset[str]:
        """That its links are fixed and, where it is so, that they form a tree. It is read on the host.

        >>> from jdl.topology import chain, ring
        >>> sorted(Fixed.of(chain(5)).provides), sorted(Fixed.of(ring(5)).provides)
        (['fixed_links', 'tree'], ['fixed_links'])
        """
        return frozenset({"fixed_links", "tree"} if is_tree(self.plan) else {"fixed_links"})

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The plan; round and key do not matter."""
        return self.plan, memory


def is_tree(plan: Plan) -> bool:
    """Whether the links of a plan between peers, used in both directions, form a tree."""
    n, links = plans.rows(plan), plan.links
    if isinstance(links, Server):
        return False
    # Most graphs have more links than a tree, so that their ends need not be listed; and larger groups have cycles.
    few = n <= 2 if isinstance(links, Groups) else np.count_nonzero(np.asarray(links.used)) <= 2 * (n - 1)
    if not few:
        return False
    listed = plans.one_by_one(plan).links
    used = np.asarray(listed.used)
    ends = np.sort([np.asarray(plans.receivers(listed))[used], np.asarray(plans.senders(listed))[used]], axis=0)
    pairs = np.unique(ends, axis=1)
    graph = coo_array((np.ones(pairs.shape[1]), tuple(pairs)), shape=(n, n))
    one = csgraph.connected_components(graph, directed=False, return_labels=False) == 1
    return bool(one) and pairs.shape[1] == n - 1
