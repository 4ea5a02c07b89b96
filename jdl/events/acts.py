"""When nodes act: Poisson clocks, and devices that begin a computation when the last one has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jdl import checks
from jdl.events.absent import Absences

__all__ = ["LAWS", "Acts", "check_horizon", "devices", "durations", "means", "poisson"]

BYTES = 200  # of an event while it is planned, about
LAWS = ("constant", "exponential", "log_normal")


class Acts(NamedTuple):
    """Who acts when, in the order of time; of those who act in the same second, the smaller number comes first.

    Attributes:
      seconds: f64[E].
      node: i32[E].
    """

    seconds: np.ndarray
    node: np.ndarray


def poisson(rates: float | np.ndarray, horizon: float, n: int, seed: int = 0, away: Absences | None = None) -> Acts:
    """Each node acts at the times of a Poisson process of its own.

    Args:
      rates: acts per second, at least 0: one number, or f[n].
      horizon: the length of the plan, in seconds.
      n: number of nodes.
      seed: of all draws.
      away: when nodes are away; what they would do then is left out.

    Raises:
      InputError: if a rate is negative, or if nobody acts up to the horizon.

    >>> len(poisson(2.0, horizon=100.0, n=5).seconds)
    990
    """
    rates = means("rates", rates, n, zero=True)
    check_horizon(horizon, float(np.sum(rates)))
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rates * horizon)
    node = np.repeat(np.arange(n, dtype=np.int32), counts)
    # Given their number, the times of a Poisson process are independent and uniform.
    seconds = rng.uniform(0.0, horizon, node.size)
    if away is not None:
        there = away.there(node, seconds)
        seconds, node = seconds[there], node[there]
    return _in_order(seconds, node, horizon)


def devices(
    seconds_per_step: float | np.ndarray,
    horizon: float,
    n: int,
    law: str = "constant",
    spread: float = 0.5,
    seed: int = 0,
    away: Absences | None = None,
) -> Acts:
    """Each node acts when a computation ends, and begins the next one at once; all begin the first one at second 0.

    Args:
      seconds_per_step: the mean duration of a computation, more than 0: one number, or f[n].
      horizon: the length of the plan, in seconds.
      n: number of nodes.
      law: "constant", "exponential" (which makes Poisson clocks), or "log_normal".
      spread: the standard deviation of the logarithm of a log-normal duration.
      seed: of all draws.
      away: when nodes are away; a computation stops then, and goes on when its node is back.

    Raises:
      InputError: if a duration is not positive, if the law is unknown, or if nobody ends up to the horizon.

    >>> acts = devices(np.array([1.0, 2.0]), horizon=4.0, n=2)
    >>> print(acts.seconds, acts.node)
    [1. 2. 2. 3. 4. 4.] [0 0 1 0 0 1]
    """
    check_horizon(horizon, float(np.sum(1 / means("seconds_per_step", seconds_per_step, n))))
    draw = durations(seconds_per_step, n, law, spread, np.random.default_rng(seed))
    running, now, steps, times, nodes = np.arange(n, dtype=np.int32), np.zeros(n), 0, [], []
    while running.size:
        steps += 1
        # A constant duration is multiplied and not added up, so that equal times are equal to the last bit.
        now = draw(running) * steps if law == "constant" else now + draw(running)
        inside = now <= horizon
        running, now = running[inside], now[inside]
        times.append(now)
        nodes.append(running)
    seconds, node = np.concatenate(times), np.concatenate(nodes)
    if away is not None:
        seconds = away.later(node, seconds)
        inside = seconds <= horizon
        seconds, node = seconds[inside], node[inside]
    return _in_order(seconds, node, horizon)


def durations(
    seconds_per_step: float | np.ndarray, n: int, law: str, spread: float, rng: np.random.Generator
) -> Callable[[np.ndarray], np.ndarray]:
    """A function from nodes i32[k] to the durations f64[k] of a computation of each."""
    mean = means("seconds_per_step", seconds_per_step, n)
    law = checks.known("law", str(law), LAWS)
    checks.bounded("spread", spread, 0, None)
    checks.require(bool(np.isfinite(spread)), f"got spread={spread}, need a number; try spread=0.5")
    if law == "constant":
        return lambda node: mean[node]
    if law == "exponential":
        return lambda node: mean[node] * rng.standard_exponential(node.size)
    # A log-normal number has mean 1 if the mean of its logarithm is -spread^2 / 2.
    return lambda node: mean[node] * np.exp(spread * rng.standard_normal(node.size) - spread**2 / 2)


def means(name: str, value: float | np.ndarray, n: int, zero: bool = False) -> np.ndarray:
    """One number of each node, f64[n], from one for all or one for each: positive, or with `zero` not negative."""
    try:
        given = np.asarray(value, float)
    except (TypeError, ValueError) as error:
        raise checks.InputError(f"got {name}={value!r}, need numbers; try {name}=1.0") from error
    fits = given.shape in ((), (n,))
    checks.require(fits, f"got {name} of shape {given.shape}, need one number, or one for each of {n} nodes; give that")
    each = np.broadcast_to(given, (n,))
    wrong = ~(np.isfinite(each) & ((each >= 0) if zero else (each > 0)))
    need = "of at least 0" if zero else "of more than 0"
    if wrong.any():
        node = int(np.argmax(wrong))
        raise checks.InputError(f"got {name}={each[node]:g} of node {node}, need numbers {need}; try 1.0")
    return each


def check_horizon(horizon: float, events_per_second: float = 0.0) -> None:
    """Check that a horizon is a positive number of seconds, and that its events fit the memory."""
    good = isinstance(horizon, int | float | np.number) and 0 < horizon < np.inf
    checks.require(good, f"got horizon={horizon!r}, need the length of the plan in seconds, more than 0; try 100.0")
    count = horizon * events_per_second
    checks.fits(int(BYTES * count), f"a plan of {horizon:g} s with about {count:.3g} events")


def _in_order(seconds: np.ndarray, node: np.ndarray, horizon: float) -> Acts:
    some = f"got horizon={horizon:g} in which nobody acts, need an event at least; give a longer one"
    checks.require(seconds.size > 0, some)
    order = np.lexsort((node, seconds))
    return Acts(seconds[order], node[order])
