"""A fixed cycle of plans, one a round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.topology import Topology, forms
from jdl.topology.spectrum.periods import cycle_of
from jdl.types import Key, Plan, ScheduleState, Seen

__all__ = ["Cyclic"]


@struct.dataclass
class Cyclic:
    """The schedule that goes through the topologies in order, over and over.

    All take one form, the cheapest for the largest degrees among them: rolls only where all share their shifts,
    averages within groups only where all have as many groups of the same size, otherwise a dense matrix or slots,
    padded to the largest degree. The schedule promises what all phases have in common: it is symmetric where each of
    them is, and row stochastic, say, where the others are doubly stochastic.

    Args:
      plans: T plans of one form as one, whose arrays carry a leading axis `[T, ...]`; plan t mod T is that of round t.
    """

    plans: Plan

    @classmethod
    def of(cls, topologies: Sequence[Topology]) -> Self:
        """Plans of the topologies, in order, in one form.

        Args:
          topologies: at least one, all of the same n.

        Raises:
          InputError: if there is none, if n differs, or if row- and column-stochastic phases alternate.

        >>> from jdl.topology import one_peer_exponential
        >>> Cyclic.of(one_peer_exponential(8)).plans.links.senders.shape
        (3, 8, 1)
        """
        topologies = cycle_of(topologies)
        kinds = {topology.stochastic for topology in topologies} - {"doubly"}
        both = (
            "got row- and column-stochastic topologies, whose cycle is neither; use one kind, or doubly stochastic ones"
        )
        checks.require(len(kinds) < 2, both)

        form, degree = _form(topologies)
        promise = {
            "stochastic": next(iter(kinds), "doubly"),
            "symmetric": all(topology.symmetric for topology in topologies),
        }

        def plan_of(topology: Topology) -> Plan:
            if form != "slots":
                return topology.plan(form).replace(**promise)
            own = topology.weights.diagonal().astype(jnp.result_type(float))
            return Plan(forms.as_slots(topology.weights, degree), own, **promise)

        plans = jax.device_get([plan_of(topology) for topology in topologies])
        return cls(jax.device_put(jax.tree.map(lambda *leaves: np.stack(leaves), *plans)))

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.plans.self_weights.shape[1]

    def init(self, key: Key) -> ScheduleState:
        return ()

    def __call__(
        self, memory: ScheduleState, t: jax.Array, key: Key, seen: Seen | None = None
    ) -> tuple[Plan, ScheduleState]:
        """The plan of round t; the key does not matter."""
        period = self.plans.self_weights.shape[0]
        return jax.tree.map(lambda leaf: leaf[t % period], self.plans), memory


def _form(topologies: Sequence[Topology]) -> tuple[str, int]:
    """The form that all phases take, and the largest degree among them."""
    degree = np.max([topology.degree for topology in topologies], axis=0)
    shifts = {topology.shifts for topology in topologies}
    # The arrays of all phases must have one shape: g groups of at most r nodes.
    groups = {None if one.groups is None else (one.groups.max(), one.degree.max()) for one in topologies}
    grouped = len(groups) == 1 and None not in groups
    # How hubs are laid out differs from phase to phase; slots that are padded to the largest degree do not.
    most = np.full_like(degree, degree.max())
    return forms.choose(most, shifts.pop() if len(shifts) == 1 else None, grouped), int(degree.max())
