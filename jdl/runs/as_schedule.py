"""Make a schedule from a topology, a list of topologies, a networkx graph or a weight matrix."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from jdl import checks, schedule
from jdl.plan import TALKS
from jdl.topology.weights.given import as_topologies
from jdl.types import Algorithm, Circulant, Federated, Plan, Schedule

__all__ = ["as_schedule"]


def as_schedule(given: Any, algorithm: Algorithm | Federated, n: int, numbers: int, form: str) -> Schedule:
    """Make the schedule for the caller's `topology` argument.

    Args:
      given: the caller's argument. None means that all clients take part in every round (with a server), or that no
        node sends (for a method that exchanges nothing).
      algorithm: the method.
      n: the number of nodes.
      numbers: the number of parameters of one model, on which the cheapest form of a plan depends.
      form: the form of a fixed plan; "auto" chooses the cheapest.

    Returns:
      The schedule.

    Raises:
      InputError: if `given` is of none of these types, or is None for a method that exchanges something.
    """
    checks.settled(given)
    if given is None and "server" in algorithm.needs:
        return schedule.Sampling(n, participants=n)
    if given is None:
        name = type(algorithm).__name__
        talks = algorithm.needs & TALKS
        checks.require(not talks, f"got no topology, {name} needs one to talk over; try jdl.topology.ring({n})")
        return schedule.Fixed(_nobody(n))
    if isinstance(given, Schedule) and callable(given):
        return given
    fixed = as_topologies(given)
    name = type(given).__name__
    try_ = f"{name}.for_nodes({n})" if hasattr(given, "for_nodes") else f"jdl.topology.ring({n})"
    checks.require(
        fixed is not None,
        f"got a topology of type {name}, need a Topology, a networkx graph, a weight matrix, a list of these, or a "
        f"Schedule; try {try_}",
    )
    return schedule.Cyclic.of(fixed) if isinstance(fixed, list) else schedule.Fixed(fixed.plan(form, numbers))


def _nobody(n: int) -> Plan:
    """A plan without links, W = I."""
    none = jnp.zeros((n, 0))
    links = Circulant(weights=none, used=none.astype(bool), shifts=())
    return Plan(links=links, self_weights=jnp.ones(n), symmetric=True)
