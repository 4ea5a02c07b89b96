"""How much accuracy is lost with lost nodes, and does it matter which ones, and whether they go on as relays?

    python experiments/lost_nodes.py [--nodes 64] [--rounds 200] [--seeds 3] [--out runs/lost_nodes]

Handwritten digits over 64 nodes, the 64-32-10 network, D-PSGD on minibatches of 16 over a Barabasi-Albert graph, which
has a few hubs. The examples are divided by Dirichlet(0.1): a node has few classes. After a quarter of the rounds some
nodes are lost for ever: random ones, or those with the most links. Either they are gone, or their data alone are gone,
and they go on as relays. A seed gives a graph, a division of the data, random nodes, and a run; at each fraction the
nodes that are lost at a smaller one are lost as well.

It writes lost_nodes.csv, and lost_nodes.png: the test accuracy at the end, the mean over the nodes that still have
their data, with its 95 % interval by Student's t over seeds, and below it into how many parts the graph of these nodes
falls. Run the command again to go on where it stopped.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tyro

import jdl
from jdl.schedule import Disaster, Fixed
from jdl.show import style

if TYPE_CHECKING:
    import pandas

FRACTIONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
WHICH = {"random nodes": False, "hubs": True}
HOW = {"gone": False, "left as relays": True}
LR = 0.4


def graph(n: int, seed: int) -> jdl.topology.Topology:
    """The graph of a seed."""
    return jdl.topology.barabasi_albert(n, seed=seed)


def disaster(n: int, round: int, fraction: float, hubs: bool, relay: bool = False, *, seed: int) -> Disaster:
    """The schedule of a seed."""
    return Disaster.of(Fixed.of(graph(n, seed)), round, fraction, hubs, relay, seed)


def survivors(n: int, fraction: float, hubs: bool, *, seed: int) -> jdl.types.Roles:
    """Honest are those that keep their data: metrics are means over them."""
    return jdl.roles.of(~np.asarray(disaster(n, 0, fraction, hubs, seed=seed).lost))


def parts(n: int, fraction: float, hubs: bool, seed: int) -> int:
    """Into how many parts the graph of the survivors falls."""
    import networkx as nx

    left = np.flatnonzero(survivors(n, fraction, hubs, seed=seed).honest)
    return nx.number_connected_components(nx.Graph(graph(n, seed).edges.tolist()).subgraph(left.tolist()))


def measured(n: int, rounds: int, seeds: int, out: Path) -> pandas.DataFrame:
    """The accuracy of the survivors, with its interval, and the mean number of parts of their graph."""
    fraction, hubs = jdl.over(*FRACTIONS, name="fraction"), jdl.over(WHICH, name="which")
    rule = jdl.data.partition.Dirichlet(alpha=0.1)
    table = jdl.sweep(
        problem=functools.partial(jdl.problems.digits, nodes=n, partition=rule, batch_size=16),
        algorithm=jdl.algorithms.DPSGD(lr=LR),
        topology=functools.partial(
            disaster, n, rounds // 4, fraction=fraction, hubs=hubs, relay=jdl.over(HOW, name="how")
        ),
        roles=functools.partial(survivors, n, fraction=fraction, hubs=hubs),
        rounds=rounds,
        eval_every=rounds,
        seeds=seeds,
        run_dir=out,
    )
    if not table.complete:
        raise SystemExit("stopped before all runs were done; run the command again to go on")
    rows = table.summarize(["mean_accuracy", "worst_accuracy"], interval="t").reset_index(drop=True)
    every = [
        np.mean([parts(n, row.fraction, WHICH[row.which], seed) for seed in table.seeds]) for row in rows.itertuples()
    ]
    return rows.assign(parts=every)


def draw(rows: pandas.DataFrame, path: Path) -> None:
    """A line for each kind of loss; intervals side by side."""
    with style.picture((7.6, 6.0), path) as figure:
        accuracy, pieces = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.1))
        for number, ((which, how), some) in enumerate(rows.groupby(["which", "how"], sort=False)):
            x = some["fraction"] + 0.006 * (number - 1.5)
            mean, low, high = (some[f"mean_accuracy{end}"] for end in ("", "_low", "_high"))
            look = {"color": style.COLOURS[list(WHICH).index(which)], "linestyle": style.DASHES[list(HOW).index(how)]}
            bars = accuracy.errorbar(x, mean, yerr=[mean - low, high - mean], capsize=2.5, marker="o", ms=4, **look)
            bars.set_label(f"{which}, {how}")
            if not HOW[how]:
                pieces.plot(some["fraction"], some["parts"], marker="o", ms=4, **look)
        accuracy.set(ylabel="test accuracy of the survivors")
        accuracy.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        pieces.set(yscale="log", ylabel="parts of the graph", xlabel="share of the nodes that is lost")
        pieces.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        pieces.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        figure.legend(loc="outside upper center", ncols=2, frameon=False)


def main(nodes: int = 64, rounds: int = 200, seeds: int = 3, out: Path = Path("runs/lost_nodes")) -> None:
    """How much accuracy is lost with lost nodes?"""
    rows = measured(nodes, rounds, seeds, out)
    rows.to_csv(out / "lost_nodes.csv", index=False)
    draw(rows, out / "lost_nodes.png")
    print(rows.pivot(index="fraction", columns=["which", "how"], values="mean_accuracy").round(3).to_string())


if __name__ == "__main__":
    tyro.cli(main)
