"""D-PSGD on MNIST: the effect of the graph if nodes hold all digits, and if they hold few.

    python experiments/dpsgd_mnist.py --data-dir D [--nodes 100] [--rounds 300] [--out results/dpsgd_mnist]

100 nodes, a network of 784-200-200-10, batches of ten without replacement; a ring, a random 4-regular graph, the
complete graph; examples dealt at random, or by Dirichlet(0.1) over labels. One rate for all. Needs the four files of
MNIST (see `jdl.data.load`). Prints and writes table.csv and curves.png; run again it goes on where it stopped.
"""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import matplotlib.pyplot as plt
import tyro

import jdl
from jdl import checks
from jdl.runs.history import History
from jdl.show.plots import COLOURS, STYLE

GRAPHS = {
    "ring": jdl.topology.ring,
    "random 4-regular": lambda n: jdl.topology.random_regular(n, degree=4),
    "complete": jdl.topology.complete,
}
PARTITIONS = {"iid": {"partition": "iid"}, "Dirichlet(0.1)": {"partition": "dirichlet", "alpha": 0.1}}
COLUMNS = ("partition", "graph", "mean", "worst", "mean_model", "consensus_distance", "megabytes_per_node")


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of the experiment."""

    data_dir: str | None = None
    """where the files of MNIST lie; JDL_DATA_DIR by default"""
    graphs: tuple[str, ...] = tuple(GRAPHS)
    """which"""
    partitions: tuple[str, ...] = tuple(PARTITIONS)
    """which"""
    nodes: int = 100
    """how many share the images"""
    lr: float = 0.1
    """rate"""
    batch_size: int = 10
    """images a step"""
    rounds: int = 300
    """each is one step and one exchange"""
    test_examples: int = 2000
    """on which the models of all nodes are evaluated"""
    seed: int = 0
    """of partition, graph, start and batches"""
    out: Path = Path("results/dpsgd_mnist")
    """where table and picture go"""


def main(settings: Settings) -> None:
    settings.out.mkdir(parents=True, exist_ok=True)
    rows, histories = [], {}
    for partition in (checks.known("partition", name, PARTITIONS) for name in settings.partitions):
        options = PARTITIONS[partition]
        problem = jdl.problems.mnist(
            nodes=settings.nodes,
            model="2nn",
            **options,
            batch_size=settings.batch_size,
            sampling="epochs",
            test_examples=settings.test_examples,
            data_dir=settings.data_dir,
            seed=settings.seed,
        )
        for graph in (checks.known("graph", name, GRAPHS) for name in settings.graphs):
            run_dir = settings.out / f"{options['partition']}-{graph.replace(' ', '-')}"
            result = jdl.run(
                problem,
                jdl.algorithms.DPSGD(lr=settings.lr),
                GRAPHS[graph](settings.nodes),
                rounds=settings.rounds,
                seed=settings.seed,
                label=f"{partition}, {graph}",
                run_dir=run_dir,
                resume=(run_dir / "config.json").exists(),
            )
            history = histories[partition, graph] = result.history
            last = (history.mean_accuracy, history.worst_accuracy, history.mean_model_accuracy)
            megabytes = float(result.sim.traffic.bits[0].sum()) / settings.nodes / 8e6
            rows.append((partition, graph, *(float(x[-1]) for x in (*last, history.consensus_distance)), megabytes))
            print("  ".join(f"{x:.4g}" if isinstance(x, float) else x for x in rows[-1]), flush=True)
    with (settings.out / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    draw(histories, settings.out / "curves.png")


def draw(histories: dict[tuple[str, str], History], path: Path) -> None:
    """Draw the mean accuracy over nodes with a band from worst to best, in one panel for each partition."""
    with plt.rc_context(STYLE):
        partitions, graphs = (list(dict.fromkeys(names)) for names in zip(*histories, strict=True))
        size = (5.2 * len(partitions), 4)
        figure, axes = plt.subplots(1, len(partitions), figsize=size, sharey=True, squeeze=False, layout="constrained")
        for ax, partition in zip(axes[0], partitions, strict=True):
            for colour, graph in zip(COLOURS, graphs, strict=False):
                history = histories[partition, graph]
                ax.plot(history.round, history.mean_accuracy, color=colour, label=graph)
                ax.fill_between(
                    history.round, history.worst_accuracy, history.best_accuracy, color=colour, alpha=0.15, linewidth=0
                )
            ax.set(title=partition, xlabel="round")
        axes[0, 0].set(ylabel="test accuracy: mean, worst to best", ylim=(0, 1))
        axes[0, -1].legend(loc="lower right", frameon=False)
        figure.savefig(path, dpi=150)
        plt.close(figure)


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__.splitlines()[0]))
