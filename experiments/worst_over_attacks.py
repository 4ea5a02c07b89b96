"""How well does a rule hold against the attack that is worst for it? Nine rules, nine attacks, three networks.

    python experiments/worst_over_attacks.py [--nodes 32] [--rounds 100] [--seeds 2] [--out runs/worst_over_attacks]

Handwritten digits over 32 nodes, divided by Dirichlet(1) anew for each seed, softmax regression, minibatches of 16;
one node in eight attacks. Peers take steps of D-PSGD over two cliques that one link joins, or over a random graph of
degree 8; a server takes steps of FedAvg with all clients and one local step. Each network has one rate, the best of
five without attackers and with the plain mean. Rules are told how many attackers an honest node has among its
neighbours, at most. Attackers know all honest messages.

Written are worst_over_attacks.csv and worst_over_attacks.png: the test accuracy at the end, the mean over the honest
nodes and over seeds, and for each rule the worst of its attacks. A run that diverges counts with accuracy 0. Run the
command again to go on where it stopped.
"""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from flax import struct

import jdl
from jdl import exchange
from jdl.exchange import Linear
from jdl.oracle import LabelFlip
from jdl.show import style
from jdl.types import Exchange, number

if TYPE_CHECKING:
    import pandas

RATES = (0.1, 0.2, 0.4, 0.8, 1.6)
# What liars send. Those that poison their data follow the protocol otherwise.
ATTACKS = {
    "none": None,
    "sign flip": exchange.SignFlip(),
    "Gaussian": exchange.Gaussian(),
    "ALIE": exchange.ALIE(z=1.5),
    "inner product": exchange.InnerProduct(),
    "mimic": exchange.Mimic(warmup=20),
    "min-max": exchange.MinMax(),
    "label flip": None,
}
DISSENSUS = "dissensus"
WORST = "worst"
COLUMNS = (*ATTACKS, DISSENSUS)


@struct.dataclass
class Caught:
    """What an attack sends, in place of inboxes."""

    needs: ClassVar[frozenset[str]] = frozenset()
    breaks: ClassVar[frozenset[str]] = frozenset()

    def init(self, message):
        return ()

    def apply(self, state, wire, key):
        return wire.sent, state, ()


@struct.dataclass
class OneOf:
    """One of several attacks, by its number: a program for each rule serves all attacks.

    To compile a program takes longer than to run it with each attack, and all attacks together cost less than a rule.
    """

    which: float = number(0)
    attacks: tuple[Exchange | None, ...] = (None,)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"dishonest"})
    breaks: ClassVar[frozenset[str]] = frozenset({"per_link"})

    def init(self, message):
        return [None if one is None else one.init(message) for one in self.attacks], self.inner.init(message)

    def apply(self, state, wire, key):
        memories, inner = state
        sent, after = [], []
        for attack, memory in zip(self.attacks, memories, strict=True):
            lie = (wire.sent, None) if attack is None else attack.replace(inner=Caught()).apply(memory, wire, key)[:2]
            sent.append(lie[0])
            after.append(lie[1])
        which = jnp.asarray(self.which).astype(jnp.int32)  # numbers are floats
        chosen = jax.tree.map(lambda *all_of_them: jnp.stack(all_of_them)[which], *sent)
        inbox, inner, deliveries = self.inner.apply(inner, wire.replace(sent=chosen), key)
        return inbox, (after, inner), deliveries


@struct.dataclass
class FlipIf:
    """Labels are flipped at liars, or not, by a number."""

    on: float = number(0)

    needs: ClassVar[frozenset[str]] = LabelFlip.needs

    def batch(self, inner, data, query):
        plain = inner(data, query)
        flipped = LabelFlip().batch(lambda data, query: plain, data, query)
        return jax.tree.map(lambda x, y: jnp.where(self.on > 0, x, y), flipped, plain)


def liars(n: int) -> list[int]:
    """One node in eight: as many in each clique, and none at the ends of the link between them."""
    return [8 * liar + 2 for liar in range(n // 8)]


def heard(graph: jdl.topology.Topology) -> tuple[int, float]:
    """The largest number of liars among the neighbours of an honest node, and the largest weight of such liars."""
    lies = np.isin(np.arange(graph.n), liars(graph.n))
    of_liars = graph.weights.toarray()[~lies][:, lies]
    return int((of_liars > 0).sum(axis=1).max()), float(of_liars.sum(axis=1).max())


def graphs(n: int) -> dict[str, Any]:
    """Peers hear at most n / 16 liars each: the random graph is the first of which this holds."""
    random = (jdl.topology.random_regular(n, min(8, n - 2), seed=seed) for seed in itertools.count())
    found = next(graph for graph in random if heard(graph)[0] <= max(1, n // 16))
    return {"two cliques": jdl.topology.two_cliques(n), "random, degree 8": found}


def rules(f: int, weight: Any, peers: bool) -> dict[str, Exchange]:
    """The rules that a network can use.

    Args:
      f: the largest number of liars among the messages of an honest node.
      weight: what the messages of so many liars weigh.
      peers: whether nodes have messages of their own, from which some rules measure.
    """
    all_can = {
        "mean": Linear(),
        "coordinate median": exchange.CoordinateMedian(),
        "trimmed mean": exchange.TrimmedMean(f),
        "geometric median": exchange.GeometricMedian(),
        "multi-Krum": exchange.MultiKrum(f),
        "NNM + trimmed mean": exchange.NearestNeighbourMixing(f, rule=exchange.TrimmedMean(f)),
    }
    if not peers:
        return all_can
    return all_can | {
        "clipped gossip": exchange.ClippedGossip(liars=weight),
        "GTS": exchange.GTS(liars=weight),
        "IOS": exchange.IOS(f),
    }


def problem(n: int) -> Any:
    """A function of the seed that makes the problem."""
    rule = jdl.data.partition.Dirichlet(alpha=1.0)
    return functools.partial(jdl.problems.digits, nodes=n, partition=rule, hidden=0, batch_size=16)


def tuned(common: dict[str, Any], out: Path, **network: Any) -> dict[str, float]:
    """The best rate of each network, without attackers and with the plain mean."""
    make = network.pop("algorithm")
    table = jdl.sweep(**common, **network, algorithm=make(lr=jdl.over(*RATES)), run_dir=out)
    last = table.summarize(["mean_accuracy"]).reset_index()
    best = last.loc[last.groupby("graph", sort=False)["mean_accuracy"].idxmax()]
    return dict(zip(best["graph"], best["lr"], strict=True))


def attacked(common: dict[str, Any], n: int, out: Path, networks: dict[str, Any], make: Any) -> pandas.DataFrame:
    """The accuracy of each rule under each attack: columns graph, rule, attack, lr, mean_accuracy."""
    import pandas

    peers = make is jdl.algorithms.DPSGD
    mark = functools.partial(jdl.over, name="graph")
    rates = tuned(common, out / "rates", topology=mark(networks), algorithm=make)
    if peers:
        counts, weights = zip(*map(heard, networks.values()), strict=True)
        f, weight = max(counts), mark(*weights)
    else:
        f, weight = len(liars(n)), None
    rule = jdl.over(rules(f, weight, peers), name="rule")
    setting = common | {
        "topology": mark(networks),
        "algorithm": make(lr=mark(*rates.values())),
        "attackers": liars(n),
    }
    number_of = jdl.over({name: place for place, name in enumerate(ATTACKS)}, name="attack")
    flips = jdl.over(*(int(name == "label flip") for name in ATTACKS), name="attack")
    tables = [
        jdl.sweep(
            **setting,
            network=[OneOf(which=number_of, attacks=tuple(ATTACKS.values())), rule],
            oracle=[FlipIf(on=flips)],
            run_dir=out / "attacks",
        )
    ]
    if peers:
        tables.append(jdl.sweep(**setting, network=[exchange.Dissensus(), rule], run_dir=out / DISSENSUS))
    rows = []
    for table in tables:
        if not table.complete:
            raise SystemExit("stopped before all runs were done; run the command again to go on")
        ends = table.frame.groupby(["point", "seed"], sort=False).last().reset_index()
        ends = ends.assign(attack=ends.get("attack", DISSENSUS), mean_accuracy=ends["mean_accuracy"].fillna(0.0))
        rows.append(ends.groupby(["graph", "rule", "attack"], sort=False)["mean_accuracy"].mean().reset_index())
    return pandas.concat(rows, ignore_index=True).assign(lr=lambda rows: rows["graph"].map(rates))


def with_worst(rows: pandas.DataFrame) -> dict[str, pandas.DataFrame]:
    """For each network a table of rules and attacks, whose last column is the worst of all attacks."""
    tables = {}
    for name, some in rows.groupby("graph", sort=False):
        order = list(dict.fromkeys(some["rule"]))
        table = some.pivot(index="rule", columns="attack", values="mean_accuracy")
        table = table.loc[order, [column for column in COLUMNS if column in table]]
        tables[name] = table.assign(**{WORST: table.min(axis=1)})
    return tables


def draw(tables: dict[str, pandas.DataFrame], rates: dict[str, float], path: Path) -> None:
    """A map for each network, rules from top to bottom, in the order of their worst accuracy."""
    import matplotlib
    from matplotlib.patches import Rectangle

    values = np.concatenate([table.to_numpy().ravel() for table in tables.values()])
    shade = lambda value: (value - values.min()) / max(np.ptp(values), 1e-6)
    high = [len(table) + 2.2 for table in tables.values()]
    with style.picture((9, 0.34 * sum(high) + 1.2), path, grid=False) as figure:
        every = figure.subplots(len(tables), 1, height_ratios=high)
        for axes, (name, table) in zip(np.atleast_1d(every), tables.items(), strict=True):
            table = table.sort_values(WORST, ascending=False, kind="stable")
            colours = matplotlib.colormaps["viridis"]
            wide = len(table.columns)
            for (row, column), value in np.ndenumerate(table.to_numpy()):
                left = column + (0.25 if column == wide - 1 else 0)
                axes.add_patch(
                    Rectangle((left, row), 1, 1, facecolor=colours(shade(value)), edgecolor="white", linewidth=1.5)
                )
                ink = "black" if shade(value) > 0.55 else "white"
                bold = "bold" if column == wide - 1 else "normal"
                axes.text(left + 0.5, row + 0.5, f"{value:.1%}", color=ink, ha="center", va="center", weight=bold)
            axes.set(xlim=(0, len(COLUMNS) + 1.25), ylim=(len(table), 0))
            places = [column + 0.5 + (0.25 if column == wide - 1 else 0) for column in range(wide)]
            axes.set_xticks(places, [text.replace(" ", "\n") for text in table.columns])
            axes.set_yticks(np.arange(len(table)) + 0.5, table.index)
            axes.spines[:].set_visible(False)
            axes.set_title(f"{name}, rate {rates[name]:g}", loc="left", fontsize=11, weight="bold")
        figure.suptitle(
            "test accuracy of the honest nodes, mean over nodes and seeds; best worst case on top", fontsize=11
        )


def main(nodes: int = 32, rounds: int = 100, seeds: int = 2, out: Path = Path("runs/worst_over_attacks")) -> None:
    """How well does a rule hold against the attack that is worst for it?"""
    import pandas

    need = f"got nodes={nodes}, need a multiple of 16, so that both cliques have as many attackers; try nodes=32"
    jdl.checks.require(nodes % 16 == 0 and nodes > 0, need)
    common = {"problem": problem(nodes), "rounds": rounds, "eval_every": rounds, "seeds": seeds}
    server = {"server": jdl.schedule.Sampling(nodes, nodes)}
    rows = pandas.concat(
        [
            attacked(common, nodes, out / "peers", graphs(nodes), jdl.algorithms.DPSGD),
            attacked(common, nodes, out / "server", server, jdl.algorithms.FedAvg),
        ]
    )
    rows.to_csv(out / "worst_over_attacks.csv", index=False)
    tables = with_worst(rows)
    draw(tables, dict(zip(rows["graph"], rows["lr"], strict=True)), out / "worst_over_attacks.png")
    for name, table in tables.items():
        print(name, table.round(3).to_string(), sep="\n")


if __name__ == "__main__":
    tyro.cli(main)
