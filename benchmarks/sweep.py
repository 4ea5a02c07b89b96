"""What several seeds and a sweep cost, beside the same runs one after another, and beside a process for each.

    python benchmarks/sweep.py [--parts seeds sweep forms many] [--turns 5] [--out benchmarks/results/sweep.json]

All runs are of the digits network (64-32-10) on 64 nodes, 500 rounds, with the default evaluations. Runs in one process
are warm: every program was compiled before. The parts take turns, and a ratio is the median of those of the turns, with
their range. A cold process is `jdl run` with empty caches of compiled programs, without baselines.

- seeds: 8 seeds of one run (`seeds=8`), over 8 calls of `jdl.run`, and over 8 cold processes.
- sweep: 4 rates x 3 graphs x 2 seeds by `jdl.sweep`, over 24 calls of `jdl.run`, and over 24 processes that share
  their caches, as those of a shell loop do; with the programs that are compiled.
- forms: the same three graphs in one form, and in their own, with compilation.
- many: 1,000 points of 8 nodes in one call, and the memory of the process on the way.
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import psutil
import tyro

import jdl
from jdl.runs import aligned

NODES, ROUNDS, SEEDS = 64, 500, 8
RATES = (0.03, 0.1, 0.3, 1.0)
PARTS = ("seeds", "sweep", "forms", "many")


@dataclasses.dataclass(frozen=True)
class Options:
    """What several seeds and a sweep cost."""

    parts: tuple[str, ...] = PARTS
    turns: int = 5
    out: Path | None = None


def graphs(n: int = NODES) -> list[jdl.topology.Topology]:
    return [jdl.topology.ring(n), jdl.topology.torus(n), jdl.topology.random_regular(n, 4)]


def run(**changes: Any) -> Any:
    """A run of the digits network, without progress."""
    how = {"problem": PROBLEM, "algorithm": jdl.algorithms.DPSGD(lr=0.3), "topology": graphs()[2], "rounds": ROUNDS}
    return jdl.run(**how | {"progress": False} | changes)


def sweep(**changes: Any) -> Any:
    rates, topologies = jdl.over(*RATES), jdl.over(*graphs())
    how = {"problem": PROBLEM, "algorithm": jdl.algorithms.DPSGD(lr=rates), "topology": topologies, "rounds": ROUNDS}
    return jdl.sweep(**how | {"seeds": 2, "progress": False} | changes)


def one_by_one() -> None:
    for rate in RATES:
        for topology in graphs():
            for seed in range(2):
                run(algorithm=jdl.algorithms.DPSGD(lr=rate), topology=topology, seed=seed)


def seconds(function: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def in_turns(one: Callable[[], Any], other: Callable[[], Any], turns: int) -> dict[str, Any]:
    """The times of two functions that take turns, after one call of each that compiles, and their ratio."""
    first = seconds(one), seconds(other)
    pairs = [(seconds(one), seconds(other)) for _ in range(turns)]
    ratios = [left / right for left, right in pairs]
    return {
        "ratio": round(statistics.median(ratios), 3),
        "range": [round(min(ratios), 3), round(max(ratios), 3)],
        "seconds": [round(statistics.median(times), 2) for times in zip(*pairs, strict=True)],
        "seconds_of_first_calls": [round(value, 2) for value in first],
    }


def processes(count: int, commands: list[list[str]], shared: bool) -> float:
    """The time of `jdl run` for each command, one after another; `shared` lets them share their caches."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        for index, words in enumerate(commands[:count]):
            cache = str(Path(folder) / ("cache" if shared else f"cache{index}"))
            where = {"JDL_COMPILE_CACHE": cache, "JDL_DATA_CACHE": cache + "-data", "JAX_PLATFORMS": "cpu"}
            words = [*words, "--nodes", str(NODES), "--rounds", str(ROUNDS), "--no-baselines", "--no-progress"]
            command = [sys.executable, "-m", "jdl", "run", *words, "--out", str(Path(folder) / str(index))]
            subprocess.run(command, check=True, capture_output=True, env=os.environ | where)
        return time.perf_counter() - begun


def compiles(function: Callable[[], Any]) -> int:
    """The number of programs that a function compiles, those of single operations included."""
    found: list[str] = []
    listen = lambda event, duration, **_: found.append(event) if event.endswith("backend_compile_duration") else None
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        function()
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    return len(found)


def of_seeds(turns: int) -> dict[str, Any]:
    several, single = lambda: run(seeds=SEEDS), lambda: [run(seed=seed) for seed in range(SEEDS)]
    found = in_turns(several, single, turns)
    cold = processes(SEEDS, [["--lr", "0.3", "--seed", str(seed)] for seed in range(SEEDS)], shared=False)
    first = found["seconds_of_first_calls"][0]
    return found | {"cold_processes_seconds": round(cold, 1), "over_cold_processes": round(first / cold, 3)}


def of_sweep(turns: int) -> dict[str, Any]:
    programs = compiles(sweep)
    found = in_turns(sweep, one_by_one, turns)
    names = ("ring", "torus", "random_regular")
    words = [["--lr", str(r), "--topology", t, "--seed", str(s)] for r in RATES for t in names for s in range(2)]
    shell = processes(len(words), words, shared=True)
    return found | {
        "processes_seconds": round(shell, 1),
        "first_call_over_processes": round(found["seconds_of_first_calls"][0] / shell, 3),
        "programs_compiled": programs,
    }


def of_forms(turns: int) -> dict[str, Any]:
    """Three graphs, once in one form and once each in its own, with empty caches in memory."""

    def cold(rate: float) -> float:
        jax.clear_caches()
        aligned.READ_BYTES_PER_SECOND = rate
        return seconds(lambda: sweep(seeds=1, algorithm=jdl.algorithms.DPSGD(lr=0.3)))

    usual = aligned.READ_BYTES_PER_SECOND
    pairs = [(cold(usual), cold(1e-9)) for _ in range(turns)]
    aligned.READ_BYTES_PER_SECOND = usual
    ratios = [left / right for left, right in pairs]
    return {"ratio": round(statistics.median(ratios), 3), "range": [round(min(ratios), 3), round(max(ratios), 3)]}


def of_many(turns: int) -> dict[str, Any]:
    """The time of 1,000 points, and the memory of the process after half of it and at the end."""
    sizes: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.25):
            sizes.append(psutil.Process().memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    rates = jdl.over(*np.geomspace(0.01, 1, 1000).tolist())
    how = {"problem": jdl.problems.digits(nodes=8), "algorithm": jdl.algorithms.DPSGD(lr=rates)}
    took = seconds(lambda: jdl.sweep(**how, topology=jdl.topology.ring(8), rounds=20, progress=False))
    over.set()
    watcher.join()
    middle, end = (max(sizes[start:stop]) >> 20 for start, stop in ((0, len(sizes) // 2), (0, None)))
    return {"seconds": round(took, 1), "peak_mb_of_first_half": middle, "peak_mb": end}


def main(options: Options) -> None:
    """Measure the parts, print them, and write them to a file."""
    os.environ["JDL_COMPILE_CACHE"] = "off"
    made = {"seeds": of_seeds, "sweep": of_sweep, "forms": of_forms, "many": of_many}
    found = {}
    for part in options.parts:
        found[part] = made[part](options.turns)
        print(part, json.dumps(found[part]), flush=True)
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    PROBLEM = jdl.problems.digits(nodes=NODES)
    main(tyro.cli(Options))
