"""The clock of a simulation: its checks, the steps that it counts, and its columns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jdl import checks
from jdl.clock import Clock
from jdl.engine.clock import seconds_of
from jdl.engine.sim import RunState, Simulation
from jdl.engine.totals import exact
from jdl.engine.work import work_of
from jdl.types import LinkTime, StepTime, Wait, Work

__all__ = ["check_clock", "check_planned", "columns", "steps_of"]


def check_clock(clock: Any) -> None:
    """Check that an argument is a clock whose parts are parts of clocks.

    Raises:
      InputError: if it is not.
    """
    if clock is None:
        return
    need = "need a jdl.clock.Clock; try Clock(step=0.1)"
    checks.require(isinstance(clock, Clock), f"got clock={clock!r}, {need}")
    step = clock.step
    timed = isinstance(step, StepTime) or np.asarray(step).dtype.kind in "iuf"
    checks.require(timed, f"got step={step!r}, need seconds, or a part such as jdl.clock.LogNormal(0.1); try step=0.1")
    links = f"got links={clock.links!r}, need a part such as jdl.clock.FairShare(up=1e8)"
    checks.require(isinstance(clock.links, LinkTime), f"{links}; make one")
    number = clock.steps is None or (isinstance(clock.steps, int | float) and 0 <= clock.steps < math.inf)
    checks.require(number, f"got steps={clock.steps!r}, need the steps of a node in a round; try steps=5")
    if clock.wait is not None:
        waits = f"got wait={clock.wait!r}, need a part such as jdl.clock.Deadline(10.0)"
        checks.require(isinstance(clock.wait, Wait), f"{waits}; make one")


def steps_of(built: Simulation) -> tuple[Work, ...]:
    """The steps of a node in each exchange: read off the method, or as the clock says.

    Raises:
      InputError: if their number depends on data, on the round or on chance, and the clock does not say it.
    """
    work, steps = work_of(built), built.clock.steps
    if steps is not None:
        return (Work(float(steps), 0.0, 0.0), *(Work(0.0, 0.0, 0.0) for _ in work[1:]))
    name = type(built.algorithm).__name__
    got = f"got a clock with {name}, whose number of steps in a round depends on the round, on data or on chance"
    known = not any(math.isnan(number) for one in work for number in one)
    checks.require(known, f"{got}; say how many it takes in the mean: Clock(..., steps=5)")
    return work


def check_planned(built: Simulation, rounds: int) -> None:
    """Check that a schedule whose events were planned in time has so many rounds, and needs no clock.

    Raises:
      InputError: if it has not, or if there is a clock beside it.
    """
    seconds_at = getattr(built.schedule, "seconds_at", None)
    if seconds_at is None:
        return
    name, most = type(built.schedule).__name__, seconds_at.shape[-1] - 1
    longer = f"give a longer horizon, or rounds={most}"
    checks.require(rounds <= most, f"got rounds={rounds} with {name}, whose plan has {most}, need no more; {longer}")
    alone = f"got a clock beside {name}, whose events have their times, need one of the two; leave out the clock"
    checks.require(built.clock is None, alone)


def columns(
    clock: Clock | None, state: RunState, bits_sent: np.ndarray, seconds_at: jax.Array | None = None
) -> Mapping[str, Any]:
    """The columns of the clock: numbers, or arrays of several simulations.

    Args:
      clock: the clock of the simulation, or of several, whose numbers of nodes are `[..., n]` or `[..., 1]`; or None.
      state: the state.
      bits_sent: what each node, and the server, has sent since the start: f[..., n].
      seconds_at: f[..., T + 1], the seconds of a schedule that was planned in time; None for others.
    """
    if clock is None and seconds_at is not None:
        reached = np.asarray(seconds_at, np.float64)[..., min(int(state.t), seconds_at.shape[-1] - 1)]
        return {"simulated_seconds": np.broadcast_to(reached, np.shape(state.status))}
    if clock is None:
        return {}
    times, watts, per_bit = jax.device_get((state.clock, clock.watts, clock.joules_per_bit))
    ended, computed, n = seconds_of(times), exact(times.computed), times.computed.shape[-1]
    has_server = ended.shape[-1] > n  # it ends a round
    last = ended[..., -1] if has_server else np.max(ended, axis=-1)
    busy = np.sum(computed, axis=-1)
    return {
        "simulated_seconds": last,
        "idle_share": np.where(last > 0, 1 - busy / (n * np.where(last > 0, last, 1)), 0.0),
        "joules": np.sum(watts * computed, axis=-1) + per_bit * np.sum(bits_sent, axis=-1),
        "bits_received": np.sum(exact(times.received), axis=-1),
    }
