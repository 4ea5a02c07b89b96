"""Assumptions of theorems, checked: each sentence names the theorem, and what of the input does not meet it."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence

from jdl import checks
from jdl.topology.spectrum.distances import components
from jdl.topology.spectrum.eigenvalues import extremes
from jdl.topology.spectrum.periods import cycle_of
from jdl.topology.topology import Topology

__all__ = [
    "below",
    "connected",
    "constant",
    "curvature",
    "curvatures",
    "doubly_stochastic",
    "one_graph",
    "smallest_eigenvalue",
    "symmetric",
]


def constant(theorem: str, name: str, value: float | None, least: float = 0.0, strict: bool = True) -> float:
    """A constant of a theorem as a float.

    Args:
      theorem: the name of the theorem.
      name: the name of the constant, as in the call.
      value: its value.
      least: the lower bound.
      strict: whether the bound itself is excluded.

    Raises:
      InputError: if the constant is missing, or is no finite number within its bound.

    >>> constant("Theorem 1", "L", None)
    Traceback (most recent call last):
    jdl.checks.InputError: got no L, which Theorem 1 needs; measure it with jdl.theory, see its page
    """
    missing = f"got no {name}, which {theorem} needs; measure it with jdl.theory, see its page"
    checks.require(value is not None, missing)
    number = isinstance(value, numbers.Real) or (hasattr(value, "dtype") and getattr(value, "shape", None) == ())
    good = number and math.isfinite(float(value)) and (float(value) > least if strict else float(value) >= least)
    bound = f"above {least:g}" if strict else f"of at least {least:g}"
    checks.require(bool(good), f"got {name}={value!r}, {theorem} needs a finite number {bound}; give {name} {bound}")
    return float(value)


def curvature(theorem: str, L: float | None, mu: float | None) -> tuple[float, float]:
    """L and mu of a theorem about strongly convex functions, 0 < mu <= L."""
    L, mu = constant(theorem, "L", L), constant(theorem, "mu", mu)
    need = (
        f"got mu={mu:g} and L={L:g}, {theorem} assumes mu-strongly convex and L-smooth functions, so mu <= L; swap them"
    )
    checks.require(mu <= L, need)
    return L, mu


def curvatures(theorem: str, given: Sequence[float]) -> list[float]:
    """The eigenvalues of a Hessian, one or more numbers above 0."""
    several = isinstance(given, Sequence) or getattr(given, "ndim", 0) == 1
    need = f"{theorem} is about functions with a Hessian, need its eigenvalues in a list; write curvatures=[1.0]"
    checks.require(several and len(given) > 0, f"got curvatures={given!r}, {need}")
    return [constant(theorem, "curvatures", one) for one in given]


def below(theorem: str, name: str, value: float, bound: float, strict: bool = True) -> None:
    """Check that a step size lies within the bound of its theorem."""
    within = value < bound if strict else value <= bound
    need = f"got {name}={value:g}, {theorem} assumes {name} {'<' if strict else '<='} {bound:.6g}"
    checks.require(within, f"{need}; try {name}={0.9 * bound:.3g}")


def doubly_stochastic(theorem: str, topology: Topology | Sequence[Topology]) -> list[Topology]:
    """One period of graphs whose W are all doubly stochastic."""
    phases = cycle_of(topology)
    for phase in phases:
        need = f"got {phase.name!r} whose W is {phase.stochastic} stochastic, {theorem} assumes a doubly stochastic W"
        checks.require(phase.stochastic == "doubly", f"{need}; use an undirected graph with Metropolis weights")
    return phases


def one_graph(theorem: str, topology: Topology) -> Topology:
    """A single graph, for a theorem about one W."""
    count = len(cycle_of(topology))
    need = f"got a list of {count} graphs, {theorem} is about one graph; give one, or see jdl.theory.bounds.mixing"
    checks.require(isinstance(topology, Topology), need)
    return topology


def symmetric(theorem: str, topology: Topology) -> Topology:
    """A graph whose W is symmetric and doubly stochastic."""
    one_graph(theorem, topology)
    doubly_stochastic(theorem, topology)
    need = f"got {topology.name!r} whose W is not symmetric, {theorem} assumes a symmetric W; use an undirected graph"
    checks.require(topology.symmetric, need)
    return topology


def connected(theorem: str, topology: Topology | Sequence[Topology]) -> None:
    """Check that the union of a period of graphs is (strongly) connected."""
    parts = components(topology)
    need = f"got a graph of {parts} components, {theorem} assumes a connected graph, whose spectral gap is above 0"
    checks.require(parts == 1, f"{need}; link its components")


def smallest_eigenvalue(theorem: str, topology: Topology, least: float) -> tuple[float, float]:
    """The second largest and the smallest eigenvalue of a symmetric W, of which the smallest is above `least`."""
    second, smallest = extremes(symmetric(theorem, topology))
    need = f"got {topology.name!r} whose W has the eigenvalue {smallest:.4g}, {theorem} assumes all above {least:.4g}"
    checks.require(smallest > least, f"{need}; use (I + W) / 2")
    return second, smallest
