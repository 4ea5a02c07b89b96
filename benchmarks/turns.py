"""Programs that take turns in one process, so that a machine whose speed drifts slows all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax

Run = Callable[[int], float]  # from a number of rounds to seconds
Times = dict[str, list[float]]  # seconds of each program, a number for every turn
LEAST = 3  # rounds a call


def runner(loop: Callable[..., Any], state: Any, *rest: Any) -> Run:
    """A function from a number of rounds to seconds, of `state = loop(state, *rest, rounds)`; it goes on each time."""

    def run(rounds: int) -> float:
        nonlocal state
        start = time.perf_counter()
        state = jax.block_until_ready(loop(state, *rest, rounds))
        return time.perf_counter() - start

    return run


def rounds_in(seconds: float, run: Run) -> int:
    """The number of rounds of a program that take about so many seconds, after it was compiled and run once."""
    run(LEAST)
    rounds = LEAST
    while (took := run(rounds)) < seconds / 3 and rounds < 1 << 20:
        rounds *= 2
    return max(LEAST, round(rounds * seconds / took))


def in_turns(runs: Mapping[str, Run], seconds: float, turns: int) -> Times:
    """Seconds a round of every program in every turn, each of about so many seconds: A B, then B A, and so on."""
    rounds = {name: rounds_in(seconds, run) for name, run in runs.items()}
    times: Times = {name: [] for name in runs}
    for turn in range(turns):
        for name in list(runs)[:: 1 if turn % 2 == 0 else -1]:
            times[name].append(runs[name](rounds[name]) / rounds[name])
    return times


def spread(values: list[float]) -> dict[str, Any]:
    """The median and the quartiles of some numbers."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"median": middle, "quartiles": [low, high]}


def ratio(times: Times, one: str, other: str) -> dict[str, Any]:
    """How long `one` takes, in times of `other`: the spread of the ratios of the turns."""
    return spread([a / b for a, b in zip(times[one], times[other], strict=True)])


def fastest(times: Times, names: list[str]) -> str:
    """The name with the lowest median."""
    return min(names, key=lambda name: statistics.median(times[name]))


def digits(value: float) -> str:
    """A number with three digits.

    >>> digits(1894.2), digits(0.29788)
    ('1,890', '0.298')
    """
    return f"{float(f'{value:.3g}'):,g}"


def shown(figures: Mapping[str, Any]) -> str:
    """A spread in one line: the median, and the quartiles in brackets."""
    return f"{digits(figures['median'])} ({' to '.join(map(digits, figures['quartiles']))})"
