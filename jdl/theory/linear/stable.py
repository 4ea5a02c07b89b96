"""The rates at which a simulation converges, found exactly."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jdl import checks
from jdl.engine.sim import Simulation
from jdl.engine.state import a_simulation
from jdl.theory.linear.rounds import HORIZON, at_rate, linear_rounds
from jdl.theory.linear.stationary import radius

__all__ = ["StableRates", "stable_rates"]

# The search for the ends divides a stable rate by DOWN, and multiplies it by UP, down to the simulation's own rate
# times ONE_OF_OWN, and up to its own rate over ONE_OF_OWN.
DOWN, UP, ONE_OF_OWN = 10.0, 2.0, 1e-4
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
    `jdl.theory.stationary`). The interval is the one around the simulation's own rate. If that is not stable, it is the
    one around the first stable rate among its half, its quarter and so on, and then among its double and so on. Each
    end is found to ten digits.

    Rounds that repeat within the first 64 are taken to repeat for ever.

    Args:
      simulation: the simulation.
      field: the field of the algorithm that is varied.
      samples: how many draws stand for a random round.

    Returns:
      The interval, see `StableRates`.

    Raises:
      InputError: if a round is not affine, if the algorithm has no such field, or if no rate is stable.

    >>> import jdl
    >>> problem = jdl.problems.quadratic(4, 2, condition=4.0)  # L = 1
    >>> simulation = jdl.simulation(problem, jdl.algorithms.LocalOnly(lr=0.1), jdl.topology.ring(4))
    >>> round(stable_rates(simulation).high, 6)  # doctest: +SKIP
    2.0
    """
    algorithm = a_simulation(simulation).algorithm
    fields = [one.name for one in dataclasses.fields(algorithm) if one.metadata.get("pytree_node", True)]
    checks.known("field", field, fields)

    linear = linear_rounds(simulation, HORIZON, samples, forever=True)
    start = linear.start()

    def excess(rate: float) -> float:
        """Below zero if the mean squared distance shrinks at this rate."""
        return radius(at_rate(linear, field, rate), start) - 1 + ONE

    own = float(getattr(algorithm, field))
    return _interval(own if own > 0 else 1.0, excess, type(algorithm).__name__, field)


def _interval(own: float, excess: Callable[[float], float], name: str, field: str) -> StableRates:
    from scipy.optimize import brentq

    tried = [own * factor for factor in (1, *(0.5**k for k in range(1, 14)), *(2.0**k for k in range(1, 14)))]
    inside = next((rate for rate in tried if excess(rate) < 0), None)
    got = f"got {name}, which is stable at no {field} between {min(tried):.3g} and {max(tried):.3g}, need one that is"
    checks.require(inside is not None, f"{got}; choose another graph, or another {field} to start from")
    ends = []
    for factor in (1 / DOWN, UP):
        last = inside
        while ONE_OF_OWN < last / own < 1 / ONE_OF_OWN and excess(last * factor) < 0:
            last *= factor
        beyond = excess(last * factor) >= 0
        ends.append(float(brentq(excess, last, last * factor, xtol=1e-12, rtol=1e-10)) if beyond else None)
    return StableRates(ends[0] or 0.0, np.inf if ends[1] is None else ends[1])
