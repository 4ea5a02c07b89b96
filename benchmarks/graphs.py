"""The seconds that it takes to build each static graph, and to find its spectral gap.

python benchmarks/graphs.py [--out benchmarks/results/graphs.json]
"""

from __future__ import annotations

import json
import os
import platform
import time
import typing
from pathlib import Path

import tyro

from jdl import checks
from jdl.command import catalogue
from jdl.topology import Topology, lambda_2

LARGE = ("ring", "torus", "random_regular")


def built(name: str, n: int) -> tuple[Topology, float, int]:
    """Build a static graph of about n nodes; return it, the seconds that it took, and its number of nodes."""
    for size in (n, n - 16, 8192, 12288, 32):  # a square, a power of two, three times one, the social network
        start = time.perf_counter()
        try:
            return catalogue.maker("topologies", name)(n=size), time.perf_counter() - start, size
        except checks.InputError:
            continue
    raise ValueError(f"no size for {name}")


def main(out: Path = Path("benchmarks/results/graphs.json"), nodes: int = 10_000) -> None:
    """Measure, print, and write the figures.

    Args:
      out: the JSON file to write.
      nodes: the approximate number of nodes of each graph.
    """
    import networkx  # noqa: F401 (its import is not part of a graph)

    figures: dict = {"machine": f"{os.cpu_count()} cores, {platform.machine()}"}
    for name, maker in sorted(catalogue.members("topologies").items()):
        if typing.get_type_hints(maker)["return"] is not Topology:
            continue
        made, seconds, n = built(name, nodes)
        start = time.perf_counter()
        value = lambda_2(made)
        figures[name] = {"nodes": n, "seconds": seconds, "gap_seconds": time.perf_counter() - start, "lambda_2": value}
        print(f"{name:20s} n = {n:6d}: {seconds:6.2f} s, gap {figures[name]['gap_seconds']:6.2f} s", flush=True)
    for name in LARGE:
        made, seconds, n = built(name, 10 * nodes)
        figures[f"{name}, {n}"] = {"nodes": n, "seconds": seconds}
        print(f"{name:20s} n = {n:6d}: {seconds:6.2f} s", flush=True)
    out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
