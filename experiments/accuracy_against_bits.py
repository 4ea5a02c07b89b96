"""Which codec buys the most accuracy for the bits that are sent? Eight codecs beside none, three seeds, tuned rates.

    python experiments/accuracy_against_bits.py [--nodes 64] [--rounds 300] [--seeds 3] [--out runs/bits]

Handwritten digits over 64 nodes, the 64-32-10 network, D-PSGD on minibatches of 16 over a random 4-regular graph. The
examples are divided anew for each seed, by Dirichlet distributions over the classes with concentration 1. Nodes
exchange models, and how depends on the error that a codec makes:

- Sent as they are: no codec; natural compression (9 bits a number, without bias, a variance of at most an eighth of the
  square); fp8 (e4m3, 8 bits, an error of at most a sixteenth).
- As compressed changes of copies that neighbours keep, CHOCO-SGD (`jdl.exchange.Choco`): QSGD with 4 bits, divided by
  1 + omega; 4 bits with a scale for each block of 64; the scaled sign; the largest tenth, with places by Elias' code; a
  random tenth, with places by a common seed; factors of rank one, which leave vectors whole. Models that are sent as
  these codecs decode them would be spoilt: entries would be zero, of one size, or far off.

Three rates are tried for each codec, a factor of two apart, and with CHOCO three step sizes of gossip for each rate.
The setting of a codec is the one that reaches a mean test accuracy of 90 % in all seeds with the fewest megabytes; if
none does, that with the highest accuracy at the end. All is one sweep; run the command again to go on where it stopped.
It writes best.csv, a row for each codec: megabytes a node until 90 %, linear between evaluations, and the accuracy at
the end, with 95 % intervals by Student's t, and the setting and accuracy that are best at the end. And
accuracy_against_bits.png: the curves, and the megabytes.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tyro

import jdl
from jdl.compressors import QSGD, BlockWise, EightBitFloat, LowRank, Natural, RandK, Sign, TopK
from jdl.show import style
from jdl.show.intervals import interval

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

RATES = (0.3, 0.6, 1.2)
LEVEL = 0.9
NONE = "no codec"
DIRECT = {NONE: [], "natural, 9 bits": [Natural()], "fp8": [EightBitFloat()]}
DENSE = {
    "QSGD, 4 bits": QSGD(levels=7, contractive=True),
    "4 bits, blocks of 64": BlockWise(bits=4, block=64),
    "sign, 1 bit": Sign(),
}
SPARSE = {
    "top 10%, Elias": TopK(0.1, index="elias"),
    "random 10%, by seed": RandK(0.1),
    "low rank, rank 1": LowRank(rank=1),
}
# Step sizes of gossip: the less of a change arrives, the smaller they must be.
GAMMAS = dict.fromkeys(DENSE, (0.25, 0.5, 1.0)) | dict(
    zip(SPARSE, ((0.1, 0.2, 0.4), (0.05, 0.1, 0.2), (0.025, 0.05, 0.1)), strict=True)
)
SCHEMES = "Models without codec, natural and fp8 are sent as they are, the others as changes of copies (CHOCO)."
PANELS = {"dense codecs": [*DIRECT, *DENSE], "sparse and low-rank codecs": [NONE, *SPARSE]}


def networks() -> dict[str, list[Any]]:
    """The exchange of each codec; with CHOCO, one for each step size of gossip."""
    choco = {
        name: [jdl.exchange.Choco(gamma=jdl.over(*GAMMAS[name]), compressor=codec)]
        for name, codec in (DENSE | SPARSE).items()
    }
    return DIRECT | choco


def until(run: pandas.DataFrame, level: float) -> float:
    """The megabytes a node at which a run first reaches a mean accuracy; infinite if it does not."""
    sent, accuracy = run["megabytes"].to_numpy(), run["mean_accuracy"].to_numpy()
    first = int(np.argmax(accuracy >= level))
    if not accuracy[first] >= level:
        return np.inf
    # The accuracy before the first evaluation that is high enough is lower: np.interp is given two increasing points.
    pair = slice(max(first - 1, 0), first + 1)
    return float(np.interp(level, accuracy[pair], sent[pair]))


def best(table: Any) -> pandas.DataFrame:
    """For each codec the setting that reaches the level first, with intervals over seeds, and the best at the end."""
    import pandas

    frame, rows = table.frame, []
    last = table.summarize(["mean_accuracy"], interval="t")
    usable = last[(last["diverged"] == 0) & last["mean_accuracy"].notna()]
    for name in usable["codec"].unique():
        points = usable.index[usable["codec"] == name]
        runs = {point: frame[frame["point"] == point].groupby("seed") for point in points}
        sent = {point: np.array([until(run, LEVEL) for _, run in of_point]) for point, of_point in runs.items()}
        at_end = last.loc[points, "mean_accuracy"].idxmax()
        first = min(points, key=lambda point: sent[point].mean())
        chosen = first if np.isfinite(sent[first]).all() else at_end
        megabytes = interval(sent[chosen], "t") if np.isfinite(sent[chosen]).all() else (np.nan,) * 3
        settings = {"codec": name, "scheme": "CHOCO" if name in GAMMAS else "as it is", "point": chosen}
        of_end = {f"{key}_at_end": last.loc[at_end, key] for key in ("lr", "gamma")}
        of_end |= {f"accuracy_at_end{end}": last.loc[at_end, f"mean_accuracy{end}"] for end in ("", "_low", "_high")}
        ends = zip(("", "_low", "_high"), megabytes, strict=True)
        sizes = {f"megabytes{end}": value for end, value in ends}
        a_round = frame.loc[frame["point"] == chosen, "megabytes"].max() / frame["round"].max()
        columns = ["lr", "gamma", "mean_accuracy", "mean_accuracy_low", "mean_accuracy_high"]
        rows.append(settings | sizes | dict(last.loc[chosen, columns]) | {"kilobytes_a_round": 1e3 * a_round} | of_end)
    return pandas.DataFrame(rows)


def curves(axes: Axes, table: Any, rows: pandas.DataFrame, names: list[str]) -> None:
    """The test error of some codecs by what a node has sent, with the interval over seeds."""
    for number, name in enumerate(names):
        point = rows.set_index("codec").loc[name, "point"]
        run = table.frame[(table.frame["point"] == point) & (table.frame["round"] > 0)]
        sent = run.groupby("round")["megabytes"].mean()
        mean, low, high = interval(1 - run.pivot(index="round", columns="seed", values="mean_accuracy").to_numpy(), "t")
        colour = style.INK if name == NONE else style.COLOURS[number - 1]
        axes.plot(sent, mean, color=colour, linestyle="--" if name == NONE else "-", label=name)
        axes.fill_between(sent, np.maximum(low, 1e-3), high, color=colour, alpha=0.15, linewidth=0)
    axes.axhline(1 - LEVEL, color=style.INK, linewidth=0.8, linestyle=":")
    ticks = (0.03, 0.05, 0.1, 0.2, 0.5, 0.9)
    axes.set(xscale="log", yscale="log", xlabel="sent, MB a node", ylim=(0.025, 1))
    axes.set_yticks(ticks, [f"{tick:.0%}" for tick in ticks])
    axes.yaxis.set_minor_formatter("")
    axes.xaxis.set_major_formatter("{x:g}")
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16), "ncols": 2}
    axes.legend(frameon=False, **below)


def bars(axes: Axes, rows: pandas.DataFrame) -> None:
    """The megabytes until the level with their intervals; the fewest on top."""
    rows = rows.sort_values("megabytes", na_position="last", ignore_index=True)
    for place, row in rows.iterrows():
        if np.isnan(row["megabytes"]):
            axes.text(0.02, place, f"not reached: {row['mean_accuracy']:.0%} at the end", va="center",
                      transform=axes.get_yaxis_transform())  # fmt: skip
            continue
        ends = [[max(row["megabytes"] - row["megabytes_low"], 0)], [row["megabytes_high"] - row["megabytes"]]]
        colour = style.INK if row["codec"] == NONE else style.COLOURS[0]
        axes.errorbar(row["megabytes"], place, xerr=ends, marker="o", color=colour, capsize=3)
    axes.set(xscale="log", xlabel="sent, MB a node", ylim=(len(rows) - 0.5, -0.5))
    axes.set_yticks(range(len(rows)), rows["codec"])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")


def draw(table: Any, rows: pandas.DataFrame, path: Path) -> None:
    """The curves of dense codecs, those of the others, and what each codec sends until the level."""
    with style.picture((13.5, 5.2), path) as figure:
        panels = figure.subplots(1, 3, width_ratios=(1, 1, 0.9))
        for axes, (title, names) in zip(panels, PANELS.items(), strict=False):
            curves(axes, table, rows, names)
            axes.set_title(title, fontsize=10.5)
            axes.sharex(panels[0])
        panels[0].set_ylabel("test error, mean over nodes")
        bars(panels[2], rows)
        panels[2].set_title(f"sent until the error is {1 - LEVEL:.0%}", fontsize=10.5)
        figure.supxlabel(f"{SCHEMES} Mean over {len(table.seeds)} seeds, with 95% t-intervals.", fontsize=9.5)


def main(nodes: int = 64, rounds: int = 300, seeds: int = 3, every: int = 10, out: Path = Path("runs/bits")) -> None:
    """Which codec buys the most accuracy for the bits that are sent?"""
    heterogeneous = jdl.data.partition.Dirichlet(alpha=1.0)
    table = jdl.sweep(
        problem=functools.partial(jdl.problems.digits, nodes=nodes, partition=heterogeneous, batch_size=16),
        algorithm=jdl.algorithms.DPSGD(lr=jdl.over(*RATES)),
        topology=jdl.topology.random_regular(nodes, 4),
        network=jdl.over(networks(), name="codec"),
        rounds=rounds,
        eval_every=every,
        seeds=seeds,
        run_dir=out,
    )
    if not table.complete:
        raise SystemExit("stopped before all runs were done; run the command again to go on")
    rows = best(table)
    rows.drop(columns="point").to_csv(out / "best.csv", index=False)
    draw(table, rows, out / "accuracy_against_bits.png")
    print(rows.to_string())


if __name__ == "__main__":
    tyro.cli(main)
