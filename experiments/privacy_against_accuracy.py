"""What does privacy cost on a ring, a hypercube and a complete graph? And what does a node learn of each other one?

    python experiments/privacy_against_accuracy.py [--nodes 32] [--rounds 60] [--seeds 3] [--out runs/privacy]

Two mechanisms, which are not the same:

1. DP-SGD (`jdl.oracle.PrivateGradients`). Handwritten digits over 32 nodes, divided at random, anew for each seed:
   44 or 45 images a node; softmax regression, D-PSGD. Each node clips the gradient of each image, and adds noise to
   their sum. The noise is that of a budget epsilon at delta = 1e-5 for one image of a node, added or removed. All
   models that are sent follow from noisy gradients, so the budget holds against all other nodes together, over any
   graph. It assumes Poisson sampling, which the problem does: each image joins a minibatch by itself, 16 of them in the
   mean. It does not count the search for settings: three rates and two clipping norms are tried for each budget and
   graph, and those with the highest mean test accuracy at the end are shown.
2. Noise of messages (Muffliato: `[MessageNoise(own=True), Repeated(steps)]`). Each node adds noise to its value once,
   and the noisy values are averaged by gossip. What node j learns of the value of node i from all that its neighbours
   send (`jdl.privacy.pairwise_mu`) is computed for each pair, without a run. It assumes that nodes do not collude, and
   that one value with fresh noise is averaged. The unit is what one noisy message tells by itself: 1 is no gain.

All runs are one sweep; run the command again to go on where it stopped. It writes best.csv (accuracies with 95 %
intervals by Student's t), pairwise.csv (the mean over pairs, and the largest share of disagreement that is left after
these steps) and privacy_against_accuracy.png.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tyro

import jdl
from jdl.show import style

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

BUDGETS = (1, 2, 4, 8)
DELTA = 1e-5
RATES = (0.2, 0.6, 2.0)
CLIPS = (0.5, 2.0)
BATCH = 16
STEPS = 4
NONE = "none"
UNIT = "what is learnt (mu),\nin units of one noisy message"
MARKS = "os^"


def graphs(n: int) -> dict[str, Any]:
    return {"ring": jdl.topology.ring(n), "hypercube": jdl.topology.hypercube(n), "complete": jdl.topology.complete(n)}


def oracles(problem: Any, rounds: int) -> dict[str, list[Any]]:
    """Private gradients for each budget, with each of the clipping norms, and none."""
    rate = BATCH / int(problem.num_examples.min())
    budget = functools.partial(jdl.oracle.PrivateGradients.for_budget, delta=DELTA, rounds=rounds, sampling_rate=rate)
    return {f"{epsilon}": [budget(epsilon, clip=jdl.over(*CLIPS))] for epsilon in BUDGETS} | {NONE: []}


def best(table: Any, noise: dict[str, float]) -> pandas.DataFrame:
    """For each graph and budget the rate and the clipping norm with the highest accuracy, with its interval."""
    last = table.summarize(["mean_accuracy", "worst_accuracy"], interval="t").reset_index()
    last = last[(last["diverged"] == 0) & last["mean_accuracy"].notna()]
    rows = last.loc[last.groupby(["topology", "epsilon"], sort=False)["mean_accuracy"].idxmax()]
    return rows.assign(noise_multiplier=rows["epsilon"].map(noise)).drop(columns=["point", "diverged"])


def pairwise(n: int) -> tuple[pandas.DataFrame, dict[str, np.ndarray]]:
    """What each node learns of each other one, and its mean over pairs, with the disagreement that is left."""
    import pandas

    rows, learnt = [], {}
    for name, graph in graphs(n).items():
        learnt[name] = mu = jdl.privacy.pairwise_mu(graph.weights, STEPS)
        pairs = mu[~np.eye(n, dtype=bool)]
        left = jdl.graph_report(graph)["lambda_2"] ** STEPS
        shares = {"mean": pairs.mean(), "nothing": np.mean(pairs == 0), "as_a_message": np.mean(pairs > 1 - 1e-6)}
        rows.append({"graph": name, "steps": STEPS, "disagreement_left": left} | shares)
    return pandas.DataFrame(rows), learnt


def accuracies(axes: Axes, rows: pandas.DataFrame) -> None:
    """The accuracy of each graph against the budget."""
    names = [f"{epsilon}" for epsilon in BUDGETS] + [NONE]
    for number, (graph, some) in enumerate(rows.groupby("topology", sort=False)):
        some = some.set_index("epsilon").loc[names]
        places = np.arange(len(names)) + 0.12 * (number - 1)
        mean, low, high = (some[f"mean_accuracy{end}"].to_numpy() for end in ("", "_low", "_high"))
        how = {"color": style.COLOURS[number], "marker": MARKS[number], "capsize": 2.5}
        axes.errorbar(places, mean, yerr=[mean - low, high - mean], linestyle="", label=graph, **how)
        axes.plot(places[:-1], mean[:-1], color=style.COLOURS[number], linewidth=1)
    axes.set_xticks(range(len(names)), [*names[:-1], "no noise,\nno clipping"])
    axes.set(xlabel="epsilon of one image, at delta = 1e-5", ylim=(0, 1))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_ylabel("test accuracy, mean over nodes")
    axes.legend(frameon=False, loc="lower right")


def draw(rows: pandas.DataFrame, told: pandas.DataFrame, learnt: dict[str, np.ndarray], path: Path) -> None:
    """On the left DP-SGD, on the right noise of messages, a map for each graph."""
    size = f"{rows['seeds'].max()} seeds, 95% t-intervals"
    with style.picture((14, 4.4), path) as figure:
        left, right = figure.subfigures(1, 2, width_ratios=(1, 1.9))
        axes = left.subplots()
        accuracies(axes, rows)
        title = "DP-SGD: noise in gradients, against all other nodes together"
        left.suptitle(f"{title}\nPoisson sampling of images; {size}", fontsize=10.5)
        panels = right.subplots(1, len(learnt), sharey=True)
        for panel, (_, row) in zip(panels, told.iterrows(), strict=True):
            mu = learnt[row["graph"]]
            picture = panel.imshow(np.where(np.isfinite(mu), mu, np.nan), cmap="viridis", vmin=0, vmax=1)
            panel.grid(False)
            panel.set(xlabel="node that looks on")
            panel.set_title(f"{row['graph']}\nat most {row['disagreement_left']:.0%} disagreement left", fontsize=10.5)
        panels[0].set_ylabel("node with the secret")
        right.colorbar(picture, ax=panels, pad=0.02, fraction=0.025, shrink=0.8, label=UNIT)
        title = (
            f"Muffliato: noise in messages, once, then {STEPS} steps of gossip\neach node by itself, without colluding"
        )
        right.suptitle(title, fontsize=10.5)


def main(nodes: int = 32, rounds: int = 60, seeds: int = 3, out: Path = Path("runs/privacy")) -> None:
    """What does privacy cost, and what does a node learn of each other one?"""
    digits = {"nodes": nodes, "model": "linear", "batch_size": BATCH, "sampling": "poisson", "test_examples": 0}
    problem = functools.partial(jdl.problems.supervised, "digits", **digits)
    private = oracles(problem(), rounds)
    table = jdl.sweep(
        problem=problem,
        algorithm=jdl.algorithms.DPSGD(lr=jdl.over(*RATES)),
        topology=jdl.over(graphs(nodes)),
        oracle=jdl.over(private, name="epsilon"),
        rounds=rounds,
        eval_every=rounds,
        seeds=seeds,
        run_dir=out,
    )
    if not table.complete:
        raise SystemExit("stopped before all runs were done; run the command again to go on")
    rows = best(table, {name: float(parts[0].noise_multiplier) if parts else 0.0 for name, parts in private.items()})
    told, learnt = pairwise(nodes)
    rows.to_csv(out / "best.csv", index=False)
    told.to_csv(out / "pairwise.csv", index=False)
    draw(rows, told, learnt, out / "privacy_against_accuracy.png")
    print(rows.pivot(index="topology", columns="epsilon", values="mean_accuracy").to_string())
    print(told.to_string())


if __name__ == "__main__":
    tyro.cli(main)
