"""Five graphs, three seeds: mean and standard deviation of accuracy against rounds and against megabytes."""

from pathlib import Path

import tyro

import jdl


def main(nodes: int = 64, rounds: int = 200, seeds: int = 3, out: Path = Path("runs/tasks/five_graphs")) -> None:
    """Compare five graphs."""
    graphs = {
        "ring": jdl.topology.ring(nodes),
        "torus": jdl.topology.torus(nodes),
        "random 4-regular": jdl.topology.random_regular(nodes, 4),
        "exponential": jdl.topology.exponential(nodes),
        "complete": jdl.topology.complete(nodes),
    }
    parts = {"problem": jdl.problems.digits(nodes), "algorithm": jdl.algorithms.DPSGD(lr=0.3), "rounds": rounds}
    runs = {name: jdl.run(**parts, topology=graph, seeds=seeds) for name, graph in graphs.items()}
    jdl.compare(runs, x="rounds", band="std", path=out / "rounds.png")
    jdl.compare(runs, x="megabytes", band="std", logx=True, path=out / "megabytes.png")


if __name__ == "__main__":
    tyro.cli(main)
