"""The time until a new user sees something: imports, help, a tiny run, and the first evaluation of `jdl run`.

    python benchmarks/start.py [--turns 5] [--out benchmarks/results/start.json]

Commands run in processes of their own and take turns; figures are medians, with the least and the most. The tiny run
has 64 nodes and 50 rounds; *cold* begins with an empty compile cache, *warm* with that of an earlier run. `first_run`
is `jdl run` with an empty cache, seen from outside: when the row of round 0 and the first row after training were on
disk, how long the whole job took with its baselines, and its peak memory. `initial_state` compares the time to compile
the initial state with and without the options of `jdl.engine.xla.RUNS_ONCE`, which may go when it is 1.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import tyro

import jdl
from jdl import sim as simulator
from jdl.engine.xla import RUNS_ONCE

TINY = ["-m", "jdl", "run", "--nodes", "64", "--rounds", "50", "--no-baselines", "--out", "tiny"]
# Each command, and the goal in seconds: of an import beyond that of JAX.
COMMANDS = {
    "import_jax": (["-c", "import jax"], None),
    "import_jdl": (["-c", "import jax, jdl"], 1.0),
    "import_what_a_run_needs": (["-c", "import jdl; jdl.run, jdl.problems, jdl.algorithms, jdl.topology"], 1.0),
    "help": (["-m", "jdl", "--help"], 1.0),
    "list": (["-m", "jdl", "list"], None),
    "tiny_run_warm": (TINY, 4.0),
    "tiny_run_cold": (TINY, 9.0),
}


def spread(values: list[float]) -> dict[str, float]:
    """The median, the least and the most."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def seconds(name: str, place: Path) -> float:
    """The duration of a command in an empty directory."""
    folder, cache = place / "folder", place / ("cold" if name == "tiny_run_cold" else "warm")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(place / "cold", ignore_errors=True)
    folder.mkdir()
    environment = {**os.environ, "JDL_COMPILE_CACHE": str(cache)}
    begun = time.monotonic()
    words = [sys.executable, *COMMANDS[name][0]]
    subprocess.run(words, cwd=folder, env=environment, check=True, capture_output=True)
    return time.monotonic() - begun


def commands(turns: int, place: Path) -> dict[str, Any]:
    """The durations of all commands, and by how much imports take longer than that of JAX."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(-1, turns):  # the turn before the first fills caches, of files as well
        for name in list(COMMANDS)[:: 1 if turn % 2 else -1]:
            times[name].extend([seconds(name, place)] * (turn >= 0))
    for name in ("import_jdl", "import_what_a_run_needs"):
        beyond = [a - b for a, b in zip(times.pop(name), times["import_jax"], strict=True)]
        times[f"{name}_beyond_jax"] = beyond
    goals = {name.removesuffix("_beyond_jax"): name for name in times}
    return {goals[name]: spread(times[goals[name]]) | {"goal": goal} for name, (_, goal) in COMMANDS.items()}


def first_run(place: Path) -> dict[str, float]:
    """When the first evaluations of `jdl run` with an empty cache are on disk, its duration, and its peak memory."""
    run, seen = place / "run", {}
    environment = {**os.environ, "JDL_COMPILE_CACHE": str(place / "first")}
    begun = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "jdl", "run", "--out", str(run)], env=environment)
    while process.poll() is None:
        lines = (run / "history.csv").read_text().count("\n") if (run / "history.csv").exists() else 0
        for name, wanted in (("first_evaluation", 2), ("first_evaluation_after_training", 3)):
            if lines >= wanted and name not in seen:
                seen[name] = time.monotonic() - begun
        time.sleep(0.02)
    whole, summary = time.monotonic() - begun, json.loads((run / "summary.json").read_text())
    return {
        **{f"{name}_seconds": value for name, value in seen.items()},
        "whole_seconds_with_baselines": whole,
        "main_run_seconds": summary["seconds"],
        "compile_seconds": summary["compile_seconds"],
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9,
        "mean_accuracy": summary["mean_accuracy"],
    }


def initial_state(turns: int) -> dict[str, float]:
    """The time to compile the initial state of the digits network, with `RUNS_ONCE` over that without."""
    s = jdl.simulation(jdl.problems.digits(nodes=64), jdl.algorithms.DPSGD(), jdl.topology.ring(64))
    times: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(-1, turns):
        for quick in (turn % 2 == 0, turn % 2 == 1):
            jax.clear_caches()
            lowered = jax.jit(simulator.init).lower(s)
            begun = time.perf_counter()
            lowered.compile(compiler_options=RUNS_ONCE if quick else None)
            times[quick].extend([time.perf_counter() - begun] * (turn >= 0))
    return spread([a / b for a, b in zip(times[True], times[False], strict=True)])


def main(turns: int = 5, out: Path = Path("benchmarks/results/start.json")) -> None:
    """Measure, print, and write the figures.

    Args:
      turns: the number of processes of each command.
      out: the JSON file to write.
    """
    with tempfile.TemporaryDirectory() as place:
        figures = {
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, jax {jax.__version__}",
            "seconds": commands(turns, Path(place)),
            "first_run": first_run(Path(place)),  # goals: a first evaluation within 15 s, at most 1.5 GB
            "initial_state": initial_state(turns),
        }
    print(json.dumps(figures, indent=2))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
