"""Programs that take turns in one process, so that a machine whose speed drifts slows all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax

Run = Callable[[int], float]  # from a number of rounds to seconds


def runner(loop: Callable[..., Any], state: Any, *rest: Any) -> Run:
    """A function from a number of rounds to seconds, of `state = loop(state, *rest, rounds)`; it goes on each time."""

    def run(rounds: int) -> float:
        nonlocal state
        start = time.perf_counter()
        state = jax.block_until_ready(loop(state, *rest, rounds))
        return time.perf_counter() - start

    return run


def rounds_for(seconds: float, runs: Mapping[str, Run]) -> int:
    """The number of rounds that take the fastest of some programs about so many seconds."""
    rounds = 1
    while (fastest := min(run(rounds) for run in runs.values())) < seconds / 3 and rounds < 1 << 20:
        rounds *= 2
    return max(1, round(rounds * seconds / fastest))


def in_turns(runs: Mapping[str, Run], rounds: int, repeats: int) -> dict[str, list[float]]:
    """Seconds a round of every program in every turn. The order is turned round from turn to turn: A B, B A, ..."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats):
        for name in list(runs)[:: 1 if turn % 2 == 0 else -1]:
            times[name].append(runs[name](rounds) / rounds)
    return times


def spread(values: list[float]) -> dict[str, float]:
    """The median, the quartiles and the range of some numbers."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"median": middle, "quartiles": [low, high], "range": [min(values), max(values)]}


def ratio(times: Mapping[str, list[float]], one: str, other: str) -> dict[str, float]:
    """How long `one` takes, in times of `other`: the spread of the ratios of the turns."""
    return spread([a / b for a, b in zip(times[one], times[other], strict=True)])


def shown(figures: Mapping[str, Any]) -> str:
    """A spread in one line: the median, and the quartiles in brackets."""
    low, high = figures["quartiles"]
    return f"{figures['median']:.3g} [{low:.3g}, {high:.3g}]"
