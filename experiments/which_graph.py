"""Which graph should peers talk over? Twelve topologies, three degrees of heterogeneity, five seeds, tuned rates.

    python experiments/which_graph.py [--nodes 64] [--rounds 300] [--seeds 5] [--out runs/which_graph]

Handwritten digits over 64 nodes, the 64-32-10 network, D-PSGD on minibatches of 16. The examples are divided at random,
or by Dirichlet distributions over the classes with concentration 1 and 0.1, anew for each seed. Five rates are tried, a
factor of two apart; the best one for a graph and a division of the data is that with the highest test accuracy at the
end, the mean over nodes and seeds. All is one sweep of 12 x 3 x 5 x 5 runs; run the command again to go on where it
stopped. It writes best.csv, and which_graph.png: the test error at the best rate, with its 95 % interval by Student's
t, and what a node sends in a round.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

import jdl
from jdl.show import style

if TYPE_CHECKING:
    import pandas

RATES = (0.2, 0.4, 0.8, 1.6, 3.2)
HETEROGENEITY = {"iid": "iid", "Dirichlet(1)": 1.0, "Dirichlet(0.1)": 0.1}
MARKS = "os^"


def topologies(n: int) -> dict[str, Any]:
    """Static graphs, cycles of sparse graphs, and random schedules."""
    return {
        "ring": jdl.topology.ring(n),
        "torus": jdl.topology.torus(n),
        "star": jdl.topology.star(n),
        "binary tree": jdl.topology.tree(n),
        "random 4-regular": jdl.topology.random_regular(n, 4),
        "exponential": jdl.topology.exponential(n),
        "complete": jdl.topology.complete(n),
        "one-peer exponential": jdl.topology.one_peer_exponential(n),
        "Base-2": jdl.topology.base_k(n, 1),
        "random matching": jdl.schedule.Matching(n),
        "epidemic, 4 peers": jdl.schedule.Epidemic.for_nodes(n, 4),
        "teleportation": jdl.schedule.Teleportation.for_nodes(n, n // 4),
    }


def problem(n: int, partition: str | float) -> Callable[..., Any]:
    """A function of the seed that makes the problem: digits over n nodes, divided anew with each seed."""
    rule = partition if isinstance(partition, str) else jdl.data.partition.Dirichlet(alpha=partition)
    return functools.partial(jdl.problems.digits, nodes=n, partition=rule, batch_size=16)


def best(table: Any) -> pandas.DataFrame:
    """For each graph and division of the data the rate with the highest accuracy, with its interval over seeds."""
    last = table.summarize(["mean_accuracy", "worst_accuracy", "bits_sent"], interval="t").reset_index()
    return last.loc[last.groupby(["topology", "problem"], sort=False)["mean_accuracy"].idxmax()]


def draw(rows: pandas.DataFrame, rounds: int, n: int, path: Path) -> None:
    """The test error of each graph with its interval, a colour for each division of the data; least traffic on top."""
    from matplotlib.figure import Figure

    rows = rows.assign(sent=rows["bits_sent"] / 8e3 / n / rounds)
    names = rows.groupby("topology")["sent"].mean().sort_values(kind="stable")
    place = {name: len(names) - number for number, name in enumerate(names.index)}
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    axes = figure.subplots()
    for number, name in enumerate(HETEROGENEITY):
        some = rows[rows["problem"] == name]
        mean, low, high = (1 - some[f"mean_accuracy{end}"] for end in ("", "_high", "_low"))
        where = [place[topology] + 0.2 * (1 - number) for topology in some["topology"]]
        how = {"marker": MARKS[number], "color": style.COLOURS[number], "label": name, "linestyle": "", "capsize": 2.5}
        axes.errorbar(mean, where, xerr=[mean - low, high - mean], **how)
    over = f"mean over nodes and {rows['seeds'].max()} seeds, 95% t-interval"
    axes.set(xscale="log", xlabel=f"test error at the best rate, {over}")
    axes.set_yticks([place[name] for name in names.index], [f"{name}, {sent:.0f} kB" for name, sent in names.items()])
    ticks = (0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5)
    axes.set_xticks(ticks, [f"{tick:.0%}" for tick in ticks])
    axes.xaxis.set_minor_formatter("")
    axes.grid(True, color=style.GRID)
    axes.set_axisbelow(True)
    axes.legend(title="division of the data", loc="best", frameon=False)
    style.save(figure, path, dpi=150)


def main(nodes: int = 64, rounds: int = 300, seeds: int = 5, out: Path = Path("runs/which_graph")) -> None:
    """Which graph should peers talk over?"""
    table = jdl.sweep(
        problem=jdl.over({name: problem(nodes, rule) for name, rule in HETEROGENEITY.items()}, name="problem"),
        algorithm=jdl.algorithms.DPSGD(lr=jdl.over(*RATES)),
        topology=jdl.over(topologies(nodes)),
        rounds=rounds,
        eval_every=rounds,
        seeds=seeds,
        run_dir=out,
    )
    if not table.complete:
        raise SystemExit("stopped before all runs were done; run the command again to go on")
    rows = best(table)
    rows.to_csv(out / "best.csv", index=False)
    draw(rows, rounds, nodes, out / "which_graph.png")
    print(rows.pivot(index="topology", columns="problem", values=["mean_accuracy", "lr"]).to_string())


if __name__ == "__main__":
    tyro.cli(main)
