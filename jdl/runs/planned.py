"""Schedules whose events were planned in time: how many rounds they have, at which second, and for which methods."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from jdl import checks
from jdl.engine.planned import rounds_planned
from jdl.engine.state import Simulation
from jdl.engine.totals import exact

__all__ = [
    "ROUNDS",
    "TIMES",
    "check_alone",
    "columns_of",
    "in_pairs",
    "rounds_of_a_node",
    "say_untimely",
    "times_of",
    "usual_rounds",
    "window_of",
]

ROUNDS = 500  # of a run where neither the user nor a plan gives a number
TIMES = ("seconds_at", "waited_at")  # what schedules that were planned in time know of their rounds


def usual_rounds(*given: Any, usual: int = ROUNDS) -> int:
    """The rounds of a run where the user gives no number: all that were planned in time, or 500.

    Args:
      given: schedules, or what else a user gives as a topology; the shortest of several plans counts.
      usual: the number where nothing is planned.

    >>> from jdl.schedule import Arrivals, Moshpit
    >>> usual_rounds(Arrivals.of([1.0, 2.5], rounds=7)), usual_rounds(Moshpit(4))
    (7, 500)
    """
    planned = map(rounds_planned, given)
    return min((rounds for rounds in planned if rounds is not None), default=usual)


def window_of(schedule: Any) -> int:
    """The rounds of a window of a plan in waves, after each of which the models are those of one second; else 1."""
    inner = getattr(schedule, "schedule", None)
    return window_of(inner) if inner is not None else getattr(schedule, "waves_per_window", 1)


def rounds_of_a_node(schedule: Any, rounds: int) -> int:
    """How often a node works in the mean in the first rounds of a plan of events; of other schedules, all rounds.

    >>> from jdl.schedule import Arrivals
    >>> rounds_of_a_node(Arrivals.of([1.0, 1.0, 2.0], rounds=9), 9)
    3
    """
    inner = getattr(schedule, "schedule", None)
    if inner is not None:
        return rounds_of_a_node(inner, rounds)
    acts = getattr(schedule, "works", getattr(schedule, "used", None)) if hasattr(schedule, "seconds_at") else None
    return rounds if acts is None else max(1, round(int(np.sum(np.asarray(acts)[:rounds])) / schedule.n))


def check_alone(schedule: Any, clock: Any) -> None:
    """Check that a schedule whose events have their times is given no clock.

    Raises:
      InputError: if it is.
    """
    name = type(schedule).__name__
    alone = f"got a clock beside {name}, whose events have their times, need one of the two; leave out the clock"
    checks.require(clock is None or not hasattr(schedule, "seconds_at"), alone)


def in_pairs(schedule: Any) -> Any:
    """The schedule whose seconds are pairs of float32, f[2, T + 1], a sum and its excess over the truth.

    Programs hold float32, in which a second is lost after half a year; see `jdl.engine.totals.exact`.
    """
    names = {field.name for field in dataclasses.fields(schedule)} if dataclasses.is_dataclass(schedule) else set()
    if "seconds_at" in names:
        exact = np.asarray(schedule.seconds_at, np.float64)
        if exact.ndim > 1:  # they are pairs already
            return schedule
        near = exact.astype(np.float32)
        return dataclasses.replace(schedule, seconds_at=np.stack([near, (near - exact).astype(np.float32)]))
    return dataclasses.replace(schedule, schedule=in_pairs(schedule.schedule)) if "schedule" in names else schedule


def times_of(schedule: Any) -> dict[str, Any] | None:
    """What a schedule that was planned in time knows of its rounds: some of `TIMES`; None for others."""
    found = {name: getattr(schedule, name, None) for name in TIMES}
    found = {name: times for name, times in found.items() if times is not None}
    return found | {"n": schedule.n} if "seconds_at" in found else None


def columns_of(times: Mapping[str, Any], t: int) -> dict[str, np.ndarray]:
    """The columns of a plan in time after t rounds, f64[...].

    Args:
      times: see `times_of`; `seconds_at` in pairs f[..., 2, T + 1], see `in_pairs`, and `waited_at`, f[..., T + 1].
      t: the number of rounds.
    """
    at = lambda name: np.asarray(times[name], np.float64)[..., min(t, times[name].shape[-1] - 1)]
    seconds = exact(at("seconds_at")[..., None])[..., 0]
    found = {"simulated_seconds": seconds}
    if "waited_at" in times:
        found["idle_share"] = np.where(
            seconds > 0, at("waited_at") / (times["n"] * np.where(seconds > 0, seconds, 1)), 0
        )
    return found


def say_untimely(built: Simulation) -> None:
    """Note what a method without rounds computes over rounds."""
    name, talk = type(built.algorithm).__name__, type(built.schedule).__name__
    if getattr(built.algorithm, "asynchronous", False) and not hasattr(built.schedule, "seconds_at"):
        of_clients = "a client is stale by the rounds since it last took part, whatever its speed; plan when clients "
        of_clients += "arrive, jdl.schedule.Arrivals.of([1.0, 1.0, 2.5], rounds=100)"
        of_peers = "all nodes that work in a round act at the same time, and nothing is stale where all nodes work; "
        of_peers += "plan events in seconds, jdl.schedule.Waves.pairs(topology, horizon=100.0), or Waves.push"
        checks.note(f"{name} over {talk}, whose rounds have no times: {of_clients if built.has_server else of_peers}")
