"""What an event of a method without rounds costs: over a node's step in rounds of all nodes, and over a bare loop.

    python benchmarks/waves.py [--out benchmarks/results/waves.json] [--turns 7]

AD-PSGD in planned waves, against D-PSGD over the same random 4-regular graph, whose time is divided by n, and against
loops in plain JAX that execute the same waves (`bare.ad_psgd`, the fastest of three); and D-PSGD without waiting
(`Messages.publish`), whose acts read the newest models of four neighbours. The programs take turns in one process;
figures are medians of the ratios of the turns, with quartiles. An event moves five models between memory and
the gradient where a step in rounds moves two, so the more a gradient costs, the less an event costs beside it: digits
in batches of 16 and of 128, and a network with convolutions. Planning is timed as well, in events a second.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bare
import jax
import tyro
from tasks import digits_problem, lenet, regular
from turns import digits, fastest, in_turns, ratio, runner, shown

import jdl
from jdl import sim as simulator
from jdl.schedule import Messages, Waves

HORIZON = 8.0  # in seconds, of nodes that act once a second in the mean

TASKS: dict[str, Callable[[], Any]] = {
    "digits, n = 256": lambda: digits_problem(256),
    "digits, n = 1,024": lambda: digits_problem(1024),
    "digits, n = 4,096": lambda: digits_problem(4096),
    "digits, n = 16,384": lambda: digits_problem(16_384),
    "digits, batch 128, n = 1,024": lambda: digits_problem(1024).replace(batch_size=128),
    "convolutions, n = 32": lambda: lenet(32).problem,
}


def measured(problem: Any, seconds: float, turns: int) -> dict[str, Any]:
    """The figures of one task."""
    n, (graph, _) = problem.n, regular(problem.n)
    Waves.pairs(graph, horizon=HORIZON)  # JAX compiles what it puts on the device
    start = time.perf_counter()
    waves = Waves.pairs(graph, horizon=HORIZON)
    planning = time.perf_counter() - start
    published = Messages.publish(graph, horizon=HORIZON, latency=0.1)
    runs = {}
    for name, algorithm, over in (
        ("rounds", jdl.algorithms.DPSGD(lr=bare.LR), graph),
        ("waves", jdl.algorithms.ADPSGD(lr=bare.LR), waves),
        ("published", jdl.algorithms.DPSGD(lr=bare.LR), published),
    ):
        s = jdl.simulation(problem, algorithm, over, devices=1)
        go_on = lambda state, s, rounds: _around(simulator.advance(s, state, state.t + rounds)[0], s)
        advance = jax.jit(go_on, donate_argnums=0)
        runs[name] = runner(advance, jax.jit(simulator.init)(s), s)
    make = functools.partial(bare.ad_psgd, problem, waves)
    chunk = 1 if n == 32 else 0
    apply = problem.module.apply
    loops = {
        "bare": functools.partial(make, apply, fenced=False, chunk=chunk),
        "bare, fenced": functools.partial(make, apply, chunk=chunk),
        "bare, plain": functools.partial(make, bare.plain_mlp, draw=bare.by_jax, fenced=False),
    }
    if chunk:
        del loops["bare, plain"]
    runs |= {name: runner(*loop()) for name, loop in loops.items()}
    times = in_turns(runs, seconds, turns)
    acts = int(waves.acts.sum())
    each = {"rounds": n, "published": int(published.acts.sum()) / published.waves}
    each |= {name: acts / waves.waves for name in ("waves", *loops)}
    times = {name: [seconds / each[name] for seconds in found] for name, found in times.items()}
    best = fastest(times, [*loops])
    return {
        "microseconds of a step in rounds": 1e6 * sorted(times["rounds"])[turns // 2],
        "event over step": ratio(times, "waves", "rounds"),
        "event over the fastest bare loop": ratio(times, "waves", best),
        "the fastest bare loop over step": ratio(times, best, "rounds"),
        "fastest bare loop": best,
        "act without waiting over step": ratio(times, "published", "rounds"),
        "events a wave": acts / waves.waves,
        "filled": acts / waves.acts.size,
        "events planned a second": acts / planning,
    }


def _around(state: Any, s: Any) -> Any:
    """The state at the beginning of the plan again, once its end is near."""
    last = getattr(s.schedule, "waves", None)
    return state if last is None else state.replace(t=state.t % last)


def main(
    out: Path = Path("benchmarks/results/waves.json"),
    turns: int = 7,
    seconds: float = 0.4,
    tasks: tuple[str, ...] = tuple(TASKS),
) -> None:
    """Measure, print and write the figures.

    Args:
      out: the JSON file to write; figures that are not measured now are kept.
      turns: the number of turns of each program.
      seconds: seconds of each turn.
      tasks: names of tasks.
    """
    figures: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    figures["machine"] = f"{os.cpu_count()} cores, {platform.machine()}, jax {jax.__version__}"
    for name in tasks:
        found = figures[name] = measured(TASKS[name](), seconds, turns)
        print(f"{name}: {digits(found['microseconds of a step in rounds'])} us a step in rounds", flush=True)
        for what in (name for name, value in found.items() if " over " in name):
            print(f"  {what:34s} {shown(found[what])}", flush=True)
        print(f"  filled {found['filled']:.2f}, planned {found['events planned a second']:,.0f} events a second")
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
