"""The time until a new user sees the first evaluation, the duration of `jdl run`, and its peak memory.

    python benchmarks/start.py [--out benchmarks/results/start.json]

Runs `jdl run` with an empty compile cache and reads, from outside, when its first finished evaluation was on disk (the
row of round 0, and the first row after training began), how long the whole job took with its baselines, and the
largest resident memory of the process.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import tyro


def main(out: Path = Path("benchmarks/results/start.json")) -> None:
    """Measure, print, and write the figures.

    Args:
      out: the JSON file to write.
    """
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        environment = {**os.environ, "JDL_COMPILE_CACHE": str(Path(place) / "cache")}
        command = [sys.executable, "-m", "jdl", "run", "--out", str(run)]
        begun = time.monotonic()
        process = subprocess.Popen(command, env=environment)
        seen = {}
        while process.poll() is None:
            lines = (run / "history.csv").read_text().count("\n") if (run / "history.csv").exists() else 0
            for name, wanted in (("first_evaluation", 2), ("first_evaluation_after_training", 3)):
                if lines >= wanted and name not in seen:
                    seen[name] = time.monotonic() - begun
            time.sleep(0.02)
        whole = time.monotonic() - begun
        summary = json.loads((run / "summary.json").read_text())
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    figures = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, jax {jax.__version__}",
        **{f"{name}_seconds": seconds for name, seconds in seen.items()},
        "whole_seconds_with_baselines": whole,
        "main_run_seconds": summary["seconds"],
        "compile_seconds": summary["compile_seconds"],
        "peak_memory_gb": peak / 1e9,
        "mean_accuracy": summary["mean_accuracy"],
    }
    for name, value in figures.items():
        print(f"{name}: {value if isinstance(value, str) else round(value, 3)}")
    print("goals: first evaluation within 15 s of a cold start, at most 1.5 GB")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
