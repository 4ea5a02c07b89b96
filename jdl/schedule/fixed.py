"""The same plan in every round."""

from __future__ import annotations

from typing import Self

import jax
from flax import struct

from jdl import plan
from jdl.topology import Topology
from jdl.types import Key, Plan, ScheduleState

__all__ = ["Fixed"]


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
        return plan.rows(self.plan)

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(self, memory: ScheduleState, t: jax.Array, key: Key) -> tuple[Plan, ScheduleState]:
        """The plan; round and key do not matter."""
        return self.plan, memory
