"""Which methods keep their accuracy when messages are lost? Seven methods, with 10 % of the messages lost in two ways.

    python experiments/lost_messages.py [--nodes 16] [--rounds 200] [--seeds 3] [--out runs/lost_messages]

Handwritten digits over 16 nodes, divided by Dirichlet(0.1) anew for each seed, the 64-32-10 network, minibatches of 16:
the setting of a table of Vogels et al. 2021 (RelaySum; CIFAR-10 and VGG-11 there), in small. RelaySGD runs on a binary
tree, as in the paper, where x^0 stands in for models that are missing, and by count, where they are left out. All
others run on a ring; D2 on the ring with (I + W) / 2, since an even ring has the eigenvalue -1/3, at which it is
unstable. Stochastic gradient push (SGP) runs as it is, where the share of a lost message stays with its sender, and
over running sums, where it arrives with the next message.

Either a link fails in both directions, and both ends know it, or each direction fails by itself, so that W is not
symmetric. Six rates are tried, a factor of two apart; the best one for a method and its losses is that with the highest
accuracy of the worst node at the end, the mean over seeds. A method that jdl refuses is in the table with its sentence.

It writes lost_messages.csv, and lost_messages.png: the worst node at the best rate, with its 95 % interval by Student's
t. Run the command again to go on where it stopped.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tyro

import jdl
from jdl.algorithms import D2, DPSGD, PushSum, QGDSGDm, RelaySGD
from jdl.checks import InputError
from jdl.exchange import Lossy, RobustPushSum
from jdl.show import style

if TYPE_CHECKING:
    import pandas

RATES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
LOST = 0.1
NO_LOSSES, BOTH, EACH = "no losses", f"{LOST:.0%} of links fail", f"{LOST:.0%} of messages lost"
WAYS = {NO_LOSSES: "", BOTH: ", in both directions", EACH: ", each direction by itself"}
MARKS = "os^"


def methods(n: int) -> dict[str, tuple[Any, Any, tuple[Any, ...]]]:
    """For each method its class, its graph, and what receives messages behind the losses."""
    ring, tree = jdl.topology.ring(n), jdl.topology.binary_tree(n)
    return {
        "RelaySGD": (RelaySGD, tree, ()),
        "RelaySGD, by count": (functools.partial(RelaySGD, by_count=True), tree, ()),
        "SGP, running sums": (PushSum, ring, (RobustPushSum.of(ring),)),
        "SGP": (PushSum, ring, ()),
        "D-PSGD": (DPSGD, ring, ()),
        "QG momentum": (QGDSGDm, ring, ()),
        "D2": (D2, jdl.topology.weighted(ring, "lazy"), ()),
    }


def best(table: Any) -> pandas.DataFrame:
    """The best rate for each share of lost messages, with the interval over seeds."""
    last = table.summarize(["worst_accuracy", "mean_accuracy"], interval="t").reset_index()
    # A rate at which a seed has diverged is not the best one, unless all are like that.
    key = last["worst_accuracy"].where(last["diverged"] == 0, -1.0)
    return last.loc[key.groupby(last["losses"], sort=False).idxmax()]


def measured(common: dict[str, Any], n: int, out: Path) -> pandas.DataFrame:
    """A row for each method and kind of losses; with the sentence alone if it is refused."""
    import pandas

    rows = []
    for name, (method, graph, behind) in methods(n).items():
        # Ways of a link fail together where jdl is told that W is symmetric.
        for kinds, topology in (({NO_LOSSES: 0.0, BOTH: LOST}, graph), ({EACH: LOST}, one_way(graph))):
            network = [Lossy(jdl.over(kinds, name="losses")), *behind]
            where = out / name.replace(",", "").replace(" ", "_") / ("one_way" if EACH in kinds else "both_ways")
            try:
                lr = jdl.over(*RATES)
                table = jdl.sweep(**common, algorithm=method(lr=lr), topology=topology, network=network, run_dir=where)
                if not table.complete:
                    raise SystemExit("stopped before all runs were done; run the command again to go on")
            except InputError as refusal:
                rows.append(pandas.DataFrame({"losses": list(kinds), "refused": str(refusal).splitlines()[0]}))
            else:
                rows.append(best(table))
            rows[-1] = rows[-1].assign(method=name)
    every = pandas.concat(rows, ignore_index=True)
    first = ["method", "losses"]
    return every[first + [column for column in every if column not in (*first, "point")]]


def one_way(graph: jdl.topology.Topology) -> jdl.topology.Topology:
    """The same W as a directed graph, each link of which fails by itself."""
    return dataclasses.replace(graph, symmetric=False)


def draw(rows: pandas.DataFrame, path: Path) -> None:
    """The worst node of each method, a mark for each kind of losses."""
    names = list(dict.fromkeys(rows["method"]))
    with style.picture((8.4, 4.2), path) as figure:
        axes = figure.subplots()
        for number, kind in enumerate((NO_LOSSES, BOTH, EACH)):
            some = rows[rows["losses"] == kind]
            where = np.array([len(names) - names.index(name) for name in some["method"]]) + 0.22 * (1 - number)
            mean, low, high = (some[f"worst_accuracy{end}"].to_numpy(float) for end in ("", "_low", "_high"))
            look = {"color": style.COLOURS[number], "marker": MARKS[number], "linestyle": "", "capsize": 2.5}
            axes.errorbar(mean, where, xerr=[mean - low, high - mean], label=kind + WAYS[kind], **look)
            for place in where[~np.isfinite(mean)]:
                axes.text(
                    0.01, place, "refused", color=look["color"], va="center", transform=axes.get_yaxis_transform()
                )
        axes.set(
            xlabel="accuracy of the worst node at the best rate, 95% t-interval over seeds",
            xlim=(0, 1.01),
            ylim=(0.4, None),
        )
        axes.set_yticks(range(len(names), 0, -1), names)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        figure.legend(loc="outside upper center", ncols=3, frameon=False)


def main(nodes: int = 16, rounds: int = 200, seeds: int = 3, out: Path = Path("runs/lost_messages")) -> None:
    """Which methods keep their accuracy when messages are lost?"""
    rule = jdl.data.partition.Dirichlet(alpha=0.1)
    problem = functools.partial(jdl.problems.digits, nodes=nodes, partition=rule, batch_size=16)
    rows = measured({"problem": problem, "rounds": rounds, "eval_every": rounds, "seeds": seeds}, nodes, out)
    rows.to_csv(out / "lost_messages.csv", index=False)
    draw(rows, out / "lost_messages.png")
    table = rows.assign(worst=rows["worst_accuracy"].map("{:.1%}".format).where(rows["refused"].isna(), "refused"))
    print(table.pivot(index="method", columns="losses", values="worst").to_string())
    print(*dict.fromkeys(rows["refused"].dropna()), sep="\n")


if __name__ == "__main__":
    tyro.cli(main)
