"""The rounds of jdl against bare JAX loops that were written for one task only, and against PyTorch.

    pip install ".[benchmarks]"
    python benchmarks/loop.py [--cases digits_1024 2nn_100] [--out benchmarks/results/loop.json] [--table]

Programs of a case take turns in one process; the cases have a process each, and each adds its figures to the file.

| cases | measure |
|---|---|
| `digits_1024`, `fedavg_10000`, ... | the rounds of jdl, over those of every loop of `tasks.py` |
| `sizes` | the time a node and round against the number of nodes |
| `first_...` | seconds to trace and to compile, over those of the fastest loop |
| `run_...` | `jdl.run` with its evaluations, over its rounds alone |
| `torch_...` | a round of D-PSGD in PyTorch, the gradients by `torch.compile(vmap(grad))`, over one of jdl |

`written_once` of `jdl/engine/xla.py` may go when no `fenced` loop is faster than the `layers` without the fence.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import bare
import jax
import tyro
from loop_tables import tables
from tasks import TASKS, Task, advancing, rounds_of_jdl
from turns import fastest, in_turns, ratio, runner, spread

import jdl
from jdl import sim as simulator

SIZES = (64, 256, 1024, 4096, 16_384, 65_536)
FIRST = ("digits_1024", "digits_64", "logistic_4096", "fedavg_10000")
RUN = ("digits_64", "digits_256", "digits_1024", "logistic_4096", "2nn_100")
TORCH = ("digits_1024", "2nn_100")
CASES = (
    *(name for name in TASKS if name != "digits_65536"),
    "sizes",
    *(f"{kind}_{name}" for kind, names in (("first", FIRST), ("run", RUN), ("torch", TORCH)) for name in names),
)


def against_loops(task: Task, seconds: float, turns: int) -> dict[str, Any]:
    """The rounds of jdl, the loops, and a copy of all models."""
    rows = getattr(task.topology, "participants", task.problem.n)  # the nodes that compute in a round
    runs = {"jdl": rounds_of_jdl(task)} | {name: runner(*make()) for name, make in task.loops.items()}
    times = in_turns(runs | {"copy": runner(*bare.copy(task.problem, rows))}, seconds, turns)
    best = fastest(times, list(task.loops))
    return {
        "best": best,
        "jdl_over_best": ratio(times, "jdl", best),
        "jdl_over_plain": ratio(times, "jdl", "plain") if "plain" in times else None,
        "jdl_over_copy": ratio(times, "jdl", "copy"),
        "jdl_over": {name: ratio(times, "jdl", name) for name in task.loops},
        "microseconds_a_node": {name: 1e6 * statistics.median(values) / rows for name, values in times.items()},
    }


def over_sizes(seconds: float, turns: int) -> dict[str, Any]:
    """Digits, D-PSGD: the time a node and round at every size, and over the least of those up to 16,384 nodes."""
    runs = {str(n): rounds_of_jdl(TASKS[f"digits_{n}"]()) for n in SIZES}
    times = {n: [value / int(n) for value in values] for n, values in in_turns(runs, seconds, turns).items()}
    least = [min(times[n][turn] for n in times if int(n) <= 16_384) for turn in range(turns)]
    return {
        "microseconds_a_node": {n: 1e6 * statistics.median(values) for n, values in times.items()},
        "over_least": {n: ratio({"n": values, "least": least}, "n", "least") for n, values in times.items()},
        "over_64": {n: ratio(times, n, "64") for n in times},
    }


def first_call(task: Task, seconds: float, turns: int) -> dict[str, Any]:
    """Seconds to make the state, to trace and to compile, of jdl and of the loop with jdl's layers and the fence."""
    ways = {"jdl": lambda: _jdl_state(task), "loop": task.loops["fenced"]}
    steps: dict[str, dict[str, list[float]]] = {name: {} for name in ways}
    for turn in range(-1, max(3, turns // 3)):  # the turn before the first imports what is imported when it is used
        for name in list(ways)[:: 1 if turn % 2 else -1]:
            jax.clear_caches()
            marks = [time.perf_counter()]
            loop, *arguments = jax.block_until_ready(ways[name]())
            marks.append(time.perf_counter())
            lowered = loop.lower(*arguments, 1)
            marks.append(time.perf_counter())
            lowered.compile()
            marks.append(time.perf_counter())
            for step, a, b in zip(("state", "trace", "compile"), marks, marks[1:], strict=False):
                steps[name].setdefault(step, []).extend([b - a] * (turn >= 0))
    round_ = {name: [a + b for a, b in zip(of["trace"], of["compile"], strict=True)] for name, of in steps.items()}
    whole = {name: [a + b for a, b in zip(steps[name]["state"], round_[name], strict=True)] for name in ways}
    return {
        "round": ratio(round_, "jdl", "loop"),
        "with_state": ratio(whole, "jdl", "loop"),
        "seconds": {name: {step: spread(values) for step, values in of.items()} for name, of in steps.items()},
    }


def _jdl_state(task: Task) -> tuple:
    s = jdl.simulation(task.problem, task.algorithm, task.topology, devices=1)
    return advancing(), jax.jit(simulator.init)(s), s


def whole_run(task: Task, seconds: float, turns: int) -> dict[str, Any]:
    """A run with its evaluations over its rounds alone; once without the time to compile, once the whole call."""
    parts = task.problem, task.algorithm, task.topology
    s, advance = jdl.simulation(*parts), advancing(halt=True)
    times: dict[str, list[float]] = {"rounds": [], "run": [], "call": []}

    def rounds_alone():
        state = jax.block_until_ready(jax.jit(simulator.init)(s))
        start = time.perf_counter()
        jax.block_until_ready(advance(state, s, task.rounds))
        times["rounds"].append(time.perf_counter() - start)

    def run():
        start = time.perf_counter()
        result = jdl.run(*parts, rounds=task.rounds, progress=False)
        times["call"].append(time.perf_counter() - start)
        times["run"].append(result.seconds)

    for turn in range(-1, max(3, turns // 2)):
        for part in (rounds_alone, run)[:: 1 if turn % 2 else -1]:
            part()
    times = {name: values[1:] for name, values in times.items()}  # the first turn compiled
    return {
        "rounds": task.rounds,
        "run_over_rounds": ratio(times, "run", "rounds"),
        "call_over_rounds": ratio(times, "call", "rounds"),
        "seconds": {name: spread(values) for name, values in times.items()},
    }


def against_torch(task: Task, seconds: float, turns: int) -> dict[str, Any]:
    """A round of D-PSGD of jdl and of PyTorch, the fastest of its ways."""
    if importlib.util.find_spec("torch") is None:
        return {"skipped": 'PyTorch is not installed: pip install ".[benchmarks]"'}
    from in_torch import rounds_of_torch

    runs = {"jdl": rounds_of_jdl(task)}
    for threads in sorted({1, os.cpu_count() or 1}):
        for way, run in rounds_of_torch(task, threads).items():
            runs[f"{way}, {threads} thread{'s' * (threads > 1)}"] = run
    times = in_turns(runs, seconds, turns)
    best = fastest(times, [name for name in times if name != "jdl"])
    return {
        "best": best,
        "torch_over_jdl": ratio(times, best, "jdl"),
        "each_over_jdl": {name: ratio(times, name, "jdl") for name in times if name != "jdl"},
        "microseconds_a_node": {n: 1e6 * statistics.median(v) / task.problem.n for n, v in times.items()},
    }


def measured(case: str, seconds: float, turns: int) -> dict[str, Any]:
    """The figures of one case."""
    if case == "sizes":
        return over_sizes(seconds, turns)
    kinds = {"first": first_call, "run": whole_run, "torch": against_torch}
    kind, _, name = case.partition("_")
    return kinds[kind](TASKS[name](), seconds, turns) if kind in kinds else against_loops(TASKS[case](), seconds, turns)


def main(
    out: Path = Path("benchmarks/results/loop.json"),
    cases: tuple[str, ...] = CASES,
    turns: int = 11,
    seconds: float = 0.2,
    table: bool = False,
) -> None:
    """Measure, print, and add the figures to a file.

    Args:
      out: the JSON file.
      cases: what to measure, see `CASES`.
      turns: the number of turns of each program. Those that start or run from the beginning have fewer.
      seconds: about how long each program runs in a turn.
      table: print the tables of the file, and measure nothing.
    """
    if table:
        print(tables(json.loads(out.read_text())["cases"]))
        return
    unknown = set(cases) - set(CASES)
    if unknown:
        sys.exit(f"got {', '.join(sorted(unknown))}, need cases among {', '.join(CASES)}")
    if len(cases) > 1:  # a process each, so that memory and caches of one do not reach the next
        command = [sys.executable, __file__, "--out", str(out), "--turns", str(turns), "--seconds", str(seconds)]
        failed = [case for case in cases if subprocess.run([*command, "--cases", case]).returncode]
        if failed:
            sys.exit(f"no figures of {', '.join(failed)}")
        return
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["JDL_COMPILE_CACHE"] = cache
        figures = measured(cases[0], seconds, turns)
    print(tables({cases[0]: figures}), f"({time.perf_counter() - began:.0f} s)", sep="\n", flush=True)
    if "skipped" in figures:  # those of an earlier measurement stay
        return
    of_file = json.loads(out.read_text()) if out.exists() else {"cases": {}}
    of_file["machine"] = f"{os.cpu_count()} cores, {platform.machine()}, jax {jax.__version__}"
    known = {**of_file["cases"], cases[0]: figures}
    of_file["cases"] = {case: known[case] for case in CASES if case in known}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(of_file, indent=2) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
