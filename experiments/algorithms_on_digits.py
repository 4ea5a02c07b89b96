"""Every algorithm of the library on one task, each with its defaults and a tuned rate: accuracy, traffic, time.

    python experiments/algorithms_on_digits.py [--names dpsgd scaffold] [--nodes 64] [--rounds 200] [--out D]

Handwritten digits over 64 nodes, Dirichlet(0.1) partition (most nodes hold two or three digits), minibatches of 16.
Peers talk over a random 4-regular graph (a tree, or random pairs, where a method asks for them); servers sample a
quarter of the clients a round. The rate is the only number tuned: the best of 13, a factor of 2 apart, by the mean test
loss of the nodes' models. Prints a row for each algorithm and keeps table.csv and table.md after every row: run again
to go on where it stopped.
"""

from __future__ import annotations

import csv
import math
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import jdl
from jdl import checks
from jdl.command import catalogue
from jdl.engine.sim import simulate

RATES = tuple(2.0**power for power in range(-11, 2))
# Methods of random pairs: over a fixed graph they would be other methods.
PAIRWISE = ("gossip_diloco", "swarm_sgd")
# Stable only where the smallest eigenvalue of W is above -1/3, which of this graph is -0.48: with (I + W) / 2 it is.
LAZY = ("d2", "led")
COLUMNS = {
    "algorithm": "{}",
    "rate": "{:.4g}",
    "mean": "{:.3f}",
    "worst": "{:.3f}",
    "merged": "{:.3f}",
    "megabits_per_node": "{:.1f}",
    "milliseconds_per_round": "{:.1f}",
}


def build(name: str, problem: Any) -> jdl.sim.Simulation:
    """Build the algorithm of this name with its defaults, on a topology that suits it."""
    kind, n = catalogue.members("algorithms")[name], problem.n
    if "server" in kind().needs:
        talk = jdl.schedule.Sampling(n, max(1, n // 4))
    elif "tree" in kind().needs:
        talk = jdl.topology.tree(n)
    else:
        talk = jdl.schedule.Matching(n) if name in PAIRWISE else jdl.topology.random_regular(n, degree=4)
        talk = jdl.topology.weighted(talk, "lazy") if name in LAZY else talk
    return jdl.simulation(problem, kind(), talk)


@jax.jit(static_argnames="rounds")
def train(
    simulation: jdl.sim.Simulation, rate: jax.Array, rounds: int
) -> tuple[jdl.sim.RunState, dict[str, jax.Array]]:
    """Run the algorithm with this rate, and evaluate it at the end."""
    algorithm = simulation.algorithm.replace(lr=rate)
    return simulate(simulation.replace(algorithm=algorithm), rounds, eval_every=rounds)


def row_of(name: str, problem: Any, rounds: int) -> dict[str, Any]:
    """Tune, run, and measure one algorithm."""
    simulation = build(name, problem)
    try:
        rate = jdl.tune(simulation, rounds, values=RATES, score="mean_loss").value
    except checks.InputError as error:  # a row without numbers says so
        print(error)
        return dict.fromkeys(COLUMNS, math.nan) | {"algorithm": name}
    run = lambda: jax.block_until_ready(train(simulation, jnp.asarray(rate), rounds=rounds))
    run()
    start = time.perf_counter()
    sim, history = run()
    seconds = time.perf_counter() - start
    accuracy = {key: float(history[column][-1]) for key, column in ACCURACIES.items()}
    megabits = float(np.sum(sim.traffic.bits[0])) / problem.n / 1e6
    measured = {"megabits_per_node": megabits, "milliseconds_per_round": seconds / rounds * 1e3}
    return {"algorithm": name, "rate": rate, **accuracy, **measured}


ACCURACIES = {"mean": "mean_accuracy", "worst": "worst_accuracy", "merged": "mean_model_accuracy"}


def main(
    names: tuple[str, ...] = (),
    nodes: int = 64,
    alpha: float = 0.1,
    rounds: int = 200,
    out: Path = Path("results/digits"),
) -> None:
    """Fill the table.

    Args:
      names: algorithms, all by default.
      nodes: the number of nodes.
      alpha: the concentration of the Dirichlet partition.
      rounds: the number of rounds of every run, also in tuning.
      out: the directory of table.csv and table.md, which are read first if they exist.
    """
    known = catalogue.members("algorithms")
    names = [checks.known("algorithm", name, known) for name in names] or sorted(known)
    problem = jdl.problems.digits(nodes=nodes, partition=jdl.data.partition.Dirichlet(alpha=alpha), batch_size=16)
    out.mkdir(parents=True, exist_ok=True)
    done = read(out / "table.csv")
    print("  ".join(COLUMNS))
    for name in names:
        if name not in done:
            done[name] = row_of(name, problem, rounds)
            write(out, done)
            jax.clear_caches()  # a process may hold 65,530 mappings of memory, and each program takes some
        print("  ".join(shown(done[name])), flush=True)


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Read the rows of an earlier run."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {row["algorithm"]: {k: v if k == "algorithm" else float(v) for k, v in row.items()} for row in rows}


def write(out: Path, rows: dict[str, dict[str, Any]]) -> None:
    """Write table.csv, and table.md with the best mean accuracy first."""
    with (out / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(COLUMNS))
        writer.writeheader()
        writer.writerows(rows.values())
    ranked = sorted(rows.values(), key=lambda row: -row["mean"])
    head = [" | ".join(name.replace("_", " ") for name in COLUMNS), " | ".join("---" for _ in COLUMNS)]
    body = [" | ".join(shown(row)) for row in ranked]
    (out / "table.md").write_text("".join(f"| {line} |\n" for line in head + body))


def shown(row: dict[str, Any]) -> list[str]:
    """The cells of a row as text."""
    return [style.format(row[name]) for name, style in COLUMNS.items()]


if __name__ == "__main__":
    tyro.cli(main)
