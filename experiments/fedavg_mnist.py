"""FedAvg on MNIST: rounds until 97 % of the test set is right, against McMahan et al. (2017), table 1.

    python experiments/fedavg_mnist.py --data-dir D [--partitions iid shards] [--rates 0.05 0.1] [--out results/fedavg]

100 clients of 600 images, a tenth of them a round, each with one pass over its images in batches of ten; a network of
784-200-200-10 (199,210 parameters). As in the paper the rate is tuned, and a curve counts by its best value so far,
with the crossing interpolated between two rounds. Needs the four files of MNIST (see `jdl.data.load`). Prints and
writes table.csv, curves.csv and curves.png; run again it goes on where it stopped.

References: McMahan, Moore, Ramage, Hampson, Aguera y Arcas 2017, Communication-Efficient Learning of Deep Networks from
Decentralized Data, table 1: 87 rounds (iid), 664 (two shards a client). A replication by others took 144 (iid).
"""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import tyro

import jdl
from jdl.oracle import DataOracle
from jdl.show.plots import COLOURS, STYLE

PUBLISHED = {"iid": 87, "shards": 664}
LONGEST = {"iid": 300, "shards": 1000}
RATES = {"iid": (0.05, 0.1, 0.2), "shards": (0.025, 0.05, 0.1)}


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of the experiment; the defaults are those of the paper."""

    data_dir: str | None = None
    """where the files of MNIST lie; JDL_DATA_DIR by default"""
    partitions: tuple[str, ...] = ("iid", "shards")
    """iid, or shards: two of 300 images of one digit each"""
    rates: tuple[float, ...] = ()
    """of the clients' steps; by default those around the best"""
    clients: int = 100
    """how many share the images"""
    participants: int = 10
    """how many take part in a round"""
    batch_size: int = 10
    """of the clients' steps; each passes once over its images"""
    rounds: int | None = None
    """at most; by default three times the published number (iid), or half as many again (shards)"""
    target: float = 0.97
    """test accuracy"""
    seed: int = 0
    """of partition, clients, start and batches"""
    out: Path = Path("results/fedavg")
    """where tables and pictures go"""


def main(settings: Settings) -> None:
    settings.out.mkdir(parents=True, exist_ok=True)
    curves: dict[tuple[str, float], np.ndarray] = {}
    for partition in settings.partitions:
        rounds = settings.rounds or LONGEST[partition]
        for rate in settings.rates or RATES[partition]:
            curves[partition, rate] = accuracies(settings, partition, rate, rounds)
    table = [(*key, crossing(curve, settings.target), best(curve)[-1]) for key, curve in curves.items()]
    write(settings, curves, table)
    draw(settings, curves)
    print(f"{'partition':10} {'rate':>6} {'rounds':>7} {'published':>9} {'ratio':>6} {'best accuracy':>14}")
    for partition, rate, rounds, accuracy in table:
        published = PUBLISHED[partition]
        print(f"{partition:10} {rate:6g} {rounds:7.1f} {published:9} {rounds / published:6.2f} {accuracy:14.4f}")


def accuracies(settings: Settings, partition: str, rate: float, rounds: int) -> np.ndarray:
    """The test accuracy of the server's model after rounds 0, 1, ...: f[rounds + 1]."""
    problem = jdl.problems.mnist(
        nodes=settings.clients,
        model="2nn",
        partition=partition,
        batch_size=settings.batch_size,
        sampling="round",
        test_examples=0,
        data_dir=settings.data_dir,
        seed=settings.seed,
    )
    longest = -(-int(problem.num_examples.max()) // settings.batch_size)
    result = jdl.run(
        problem,
        jdl.algorithms.FedAvg(lr=rate, local_steps=longest),
        jdl.schedule.Sampling(settings.clients, settings.participants),
        oracle=DataOracle(epochs=1.0),
        rounds=rounds,
        eval_every=1,
        seed=settings.seed,
        label=f"{partition}, rate {rate:g}",
        run_dir=settings.out / f"{partition}-{rate:g}",
        resume=(settings.out / f"{partition}-{rate:g}" / "config.json").exists(),
    )
    return np.asarray(result.history.mean_accuracy)


def best(curve: np.ndarray) -> np.ndarray:
    """The best value so far, which the paper plots."""
    return np.maximum.accumulate(curve)


def crossing(curve: np.ndarray, target: float) -> float:
    """The round, interpolated, at which the best value so far reaches the target; infinite if it does not."""
    curve = best(curve)
    if curve[-1] < target:
        return np.inf
    after = int(np.argmax(curve >= target))
    if after == 0:
        return 0.0
    before = curve[after - 1]
    return after - 1 + (target - before) / (curve[after] - before)


def write(settings: Settings, curves: dict, table: list[tuple]) -> None:
    with (settings.out / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["partition", "rate", "rounds", "best_accuracy", "published", "ratio"])
        writer.writerows([*row, PUBLISHED[row[0]], row[2] / PUBLISHED[row[0]]] for row in table)
    with (settings.out / "curves.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["partition", "rate", "round", "accuracy"])
        writer.writerows([*key, t, value] for key, curve in curves.items() for t, value in enumerate(curve))


def draw(settings: Settings, curves: dict) -> None:
    """Draw the best accuracy so far over rounds, with the published crossing, in one panel for each partition."""
    with plt.rc_context(STYLE):
        panels = len(settings.partitions)
        figure, axes = plt.subplots(1, panels, figsize=(5.2 * panels, 4), squeeze=False, layout="constrained")
        for ax, partition in zip(axes[0], settings.partitions, strict=True):
            ours = {rate: curve for (name, rate), curve in curves.items() if name == partition}
            for colour, (rate, curve) in zip(COLOURS, ours.items(), strict=False):
                ax.plot(best(curve), color=colour, label=f"rate {rate:g}")
            ax.axhline(settings.target, color="#9a9a9a", linewidth=0.8)
            ax.plot([PUBLISHED[partition]], [settings.target], "k*", markersize=11, label="published (tuned)")
            ax.set(
                title=f"{partition}, {settings.clients} clients", xlabel="round", ylabel="test accuracy, best so far"
            )
            ax.set_ylim(0.9 if min(curve[-1] for curve in ours.values()) > 0.9 else 0, 1)
            ax.legend(loc="lower right", frameon=False)
        figure.savefig(settings.out / "curves.png", dpi=150)
        plt.close(figure)


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__.splitlines()[0]))
