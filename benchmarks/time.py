"""What the clock costs: the time of a round with one over that of the same round without.

    python benchmarks/time.py [--out benchmarks/results/time.json] [--turns 7] [--nodes 256 1024 4096]

D-PSGD on handwritten digits (the 64-32-10 network, batches of 16) over a ring, a random 4-regular graph and the
complete graph, and FedAvg with all clients, under each model of links. The two programs take turns in one process;
figures are medians of the ratios of the turns, with quartiles. The complete graph is left out above 1,024 nodes, and
has no figure where copies travel one after another, whose million events are computed one by one.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import tyro
from tasks import digits_problem
from turns import in_turns, ratio, runner, shown

import jdl
from jdl import sim as simulator
from jdl.clock import Clock, FairShare, OneAfterAnother, Parallel, SlowShare

LINKS = {"parallel": Parallel(), "fair share": FairShare(), "one after another": OneAfterAnother()}
GRAPHS: dict[str, Callable[[int], Any]] = {
    "ring": jdl.topology.ring,
    "random regular": lambda n: jdl.topology.random_regular(n, degree=4),
    "complete": jdl.topology.complete,
    "server": lambda n: None,
}
MOST = {"complete": 1024}  # nodes


def measured(problem: Any, graph: str, n: int, seconds: float, turns: int) -> dict[str, Any]:
    """The figures of one graph under each model of links, and the milliseconds of a round without a clock."""
    algorithm = jdl.algorithms.FedAvg(lr=0.1) if graph == "server" else jdl.algorithms.DPSGD(lr=0.1)
    topology, step = GRAPHS[graph](n), SlowShare()
    clocks = {name: Clock(step, links) for name, links in LINKS.items() if (graph, name) != ("complete", [*LINKS][2])}
    runs = {}
    for name, clock in {"none": None, **clocks}.items():
        s = jdl.simulation(problem, algorithm, topology, clock=clock)
        advance = jax.jit(lambda state, s, rounds: simulator.advance(s, state, state.t + rounds)[0])
        runs[name] = runner(advance, jax.jit(simulator.init)(s), s)
    times = in_turns(runs, seconds, turns)
    found = {name: {"over_none": ratio(times, name, "none")} for name in clocks}
    return found | {"milliseconds": 1e3 * sorted(times["none"])[len(times["none"]) // 2]}


def main(
    out: Path = Path("benchmarks/results/time.json"),
    turns: int = 7,
    seconds: float = 0.4,
    nodes: tuple[int, ...] = (256, 1024, 4096),
    graphs: tuple[str, ...] = tuple(GRAPHS),
) -> None:
    """Measure, print and write the figures.

    Args:
      out: the JSON file to write; figures that are not measured now are kept.
      turns: the number of turns of each program.
      seconds: seconds of each turn.
      nodes: the numbers of nodes.
      graphs: names of graphs.
    """
    figures: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    figures["machine"] = f"{os.cpu_count()} cores, {platform.machine()}, jax {jax.__version__}"
    for n in nodes:
        problem = digits_problem(n)
        for graph in (one for one in graphs if n <= MOST.get(one, n)):
            found = measured(problem, graph, n, seconds, turns)
            figures.setdefault(f"{n} nodes", {})[graph] = found
            print(f"{n} nodes, {graph}: {found['milliseconds']:.3g} ms a round without a clock", flush=True)
            for name in LINKS.keys() & found.keys():
                print(f"  {name:18s} {shown(found[name]['over_none'])}", flush=True)
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
