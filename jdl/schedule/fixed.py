"""The same plan in every round."""

from __future__ import annotations

import jax
from flax import struct

from jdl import plan
from jdl.topology import Topology
from jdl.types import Key, Plan, ScheduleState

__all__ = ["Fixed", "fixed"]


@struct.dataclass
class Fixed:
    """One plan, in every round. Its arrays are leaves: two graphs of one shape share a program."""

    plan: Plan

    @property
    def n(self) -> int:
        """The number of nodes."""
        return plan.rows(self.plan)

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(self, memory: ScheduleState, t: jax.Array, key: Key) -> tuple[Plan, ScheduleState]:
        """The plan; round and key do not matter."""
        return self.plan, memory


def fixed(topology: Topology) -> Fixed:
    """The schedule in which every link of one topology is used in every round.

    Args:
      topology: who talks; its plan takes the cheapest form. For another one, `Fixed(topology.plan(form))`.

    >>> from jdl.topology import ring
    >>> fixed(ring(8)).n
    8
    """
    return Fixed(topology.plan())
