"""The rates at which a simulation converges, found exactly."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from jdl import checks
from jdl.engine.sim import Simulation
from jdl.theory.linear.rounds import HORIZON, at_rate, linear_rounds
from jdl.theory.linear.stationary import radius

__all__ = ["StableRates", "stable_rates"]

# Rates are tried in steps of this factor, from the simulation's own rate divided by REACH to that times REACH.
STEP, REACH = 1.5, 1e4
# A mean-square radius closer to one than this is one: rounding, or no convergence.
ONE = 1e-9


class StableRates(NamedTuple):
    """An open interval of rates.

    Attributes:
      low: its lower end, 0 if all small rates are stable.
      high: its upper end, infinite if no rate is too large.
    """

    low: float
    high: float


def stable_rates(simulation: Simulation, field: str = "lr", samples: int = 512) -> StableRates:
    """The interval of rates at which the mean squared distance to the fixed point shrinks.

    For each rate that is tried, jdl linearises the compiled round again and computes its mean-square radius (see
    `jdl.theory.stationary`). The interval is the one that holds the smallest stable rate; each end is found by
    bisection to ten digits.

    Args:
      simulation: the simulation; its rate is where the search begins.
      field: the field of the algorithm that is varied.
      samples: how many draws stand for a random round.

    Raises:
      InputError: if a round is not affine, if the algorithm has no such field, or if no rate is stable.

    >>> import jdl
    >>> problem = jdl.problems.quadratic(4, 2, condition=4.0)  # L = 1
    >>> simulation = jdl.simulation(problem, jdl.algorithms.LocalOnly(lr=0.1), jdl.topology.ring(4))
    >>> round(stable_rates(simulation).high, 6)  # doctest: +SKIP
    2.0
    """
    algorithm = simulation.algorithm
    fields = [one.name for one in dataclasses.fields(algorithm) if one.metadata.get("pytree_node", True)]
    checks.known("field", field, fields)

    linear = linear_rounds(simulation, HORIZON, samples)

    def shrinks(rate: float) -> float:
        """Below zero if the mean squared distance shrinks at this rate."""
        return radius(at_rate(linear, field, rate)) - 1 + ONE

    own = float(getattr(algorithm, field))
    centre = own if own > 0 else 1.0
    steps = int(np.log(REACH) / np.log(STEP))
    rates = [centre * STEP**k for k in range(-steps, steps + 1)]
    return _interval(rates, shrinks, type(algorithm).__name__, field)


def _interval(rates: list[float], excess, name: str, field: str) -> StableRates:
    from scipy.optimize import brentq

    below = next((i for i, rate in enumerate(rates) if excess(rate) < 0), None)
    got = f"got {name}, which is stable at no {field} between {rates[0]:.3g} and {rates[-1]:.3g}"
    checks.require(
        below is not None, f"{got}; need one that is; choose another graph, or another {field} to start from"
    )
    root = lambda a, b: float(brentq(excess, a, b, xtol=1e-12, rtol=1e-10))
    low = 0.0 if below == 0 else root(rates[below - 1], rates[below])
    above = next((i for i in range(below, len(rates)) if excess(rates[i]) >= 0), None)
    return StableRates(low, np.inf if above is None else root(rates[above - 1], rates[above]))
