"""What a user may not expect of a method over arrivals that were planned in time."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import numpy as np

from jdl import checks
from jdl.engine.sim import first_messages
from jdl.engine.state import Simulation
from jdl.runs.memory import shapes_of_model
from jdl.schedule import Arrivals, Compass

__all__ = ["say_unexpected", "unexpected"]


def unexpected(simulation: Simulation) -> Iterator[str]:
    """What a method makes of the arrivals of a server without rounds that differs from what they say.

    Args:
      simulation: the composed simulation.
    """
    plan, method = simulation.schedule, simulation.algorithm
    if not isinstance(plan, Arrivals | Compass):
        return
    name = type(method).__name__
    numbers = lambda message: sum(leaf.size for leaf in jax.tree.leaves(message))
    told = first_messages(simulation)[1]
    # A server that tells clients a model before they work gives them its newest one.
    if numbers(told[0]) >= numbers(shapes_of_model(simulation.problem)):
        do = "take FedAsync, FedBuff, FedCompass or AsyncDiLoCo, whose clients keep the model that they pulled"
        yield f"{name} gives its newest model to all who arrive, so that nobody is stale; {do}"
    limit, most = getattr(method, "local_steps", None), _most_steps(plan)
    if most is not None and isinstance(limit, int) and limit < most:
        took = f"{name}(local_steps={limit}) takes at most {limit} of the {most} local steps whose time was planned"
        yield f"{took}; try local_steps={most}"


def say_unexpected(simulation: Simulation) -> None:
    """Note it, and refuse clients that could not pull.

    Raises:
      InputError: if messages on the way down can be missed by clients that begin without having arrived.
    """
    plan, name = simulation.schedule, type(simulation.algorithm).__name__
    some = isinstance(plan, Arrivals) and plan.begins is not None
    down = "got network_down with Arrivals of which some clients are idle: who begins would miss the server's model"
    checks.require(not some or simulation.exchange_down is None, f"{down}, with {name}; leave concurrency out")
    for sentence in unexpected(simulation):
        checks.note(sentence)


def _most_steps(plan: Arrivals | Compass) -> int | None:
    """The largest planned number of local steps of those who arrive; None if there is none, or if it is traced."""
    if plan.steps is None or isinstance(plan.steps, jax.core.Tracer):
        return None
    return int(np.max(np.where(plan.used, plan.steps, 0)))
