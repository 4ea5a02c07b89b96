"""A fixed cycle of plans, one a round."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.topology import Topology, forms
from jdl.types import Key, Plan

__all__ = ["Cyclic", "cyclic"]


@struct.dataclass
class Cyclic:
    """Plan t mod T in round t.

    plans: T plans of one form as one, whose arrays carry a leading axis `[T, ...]`.
    """

    plans: Plan

    @property
    def n(self) -> int:
        """The number of nodes."""
        return self.plans.self_weights.shape[1]

    def __call__(self, t: jax.Array, key: Key) -> Plan:
        """The plan of round t; the key does not matter."""
        period = self.plans.self_weights.shape[0]
        return jax.tree.map(lambda leaf: leaf[t % period], self.plans)


def cyclic(topologies: Sequence[Topology]) -> Cyclic:
    """The schedule that goes through the topologies in order, over and over.

    All take one form, the cheapest for the largest degree among them: rolls only where all share their shifts, and
    slots padded to that degree elsewhere. The schedule promises what all phases have in common: it is symmetric
    where each of them is, and row stochastic, say, where the others are doubly stochastic.

    Args:
      topologies: at least one, all of the same n.

    Raises:
      InputError: if there is none, if n differs, or if row- and column-stochastic phases alternate.

    >>> from jdl.topology import one_peer_exponential
    >>> cyclic(one_peer_exponential(8)).plans.links.senders.shape
    (3, 8, 1)
    """
    topologies = list(topologies)
    checks.require(len(topologies) > 0, "got no topologies, a cycle needs at least one; pass [ring(n)], for example")
    sizes = sorted({topology.n for topology in topologies})
    got = " and ".join(f"n={n}" for n in sizes)
    checks.require(len(sizes) == 1, f"got topologies of {got}, a cycle needs one n; make them all with n={sizes[-1]}")
    kinds = {topology.kind for topology in topologies} - {"doubly"}
    both = "got row- and column-stochastic topologies, whose cycle is neither; use one kind, or doubly stochastic ones"
    checks.require(len(kinds) < 2, both)

    shifts = {topology.shifts for topology in topologies}
    degree = max(int(topology.degree.max()) for topology in topologies)
    form = forms.choose(sizes[0], degree, shifts.pop() if len(shifts) == 1 else None)
    promise = {
        "kind": next(iter(kinds), "doubly"),
        "symmetric": all(topology.symmetric for topology in topologies),
    }
    plans = [topology.plan(form).replace(**promise) for topology in topologies]
    if form == "slots":
        padded = (forms.as_slots(topology.weights, degree) for topology in topologies)
        plans = [plan.replace(links=links) for plan, links in zip(plans, padded, strict=True)]
    return Cyclic(jax.tree.map(lambda *leaves: jnp.stack(leaves), *plans))
