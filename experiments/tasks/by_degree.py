"""A rate that decays along a cosine, metrics of every node, and accuracy by the degree of a node."""

from pathlib import Path

import optax
import tyro

import jdl


def main(nodes: int = 64, rounds: int = 200, out: Path = Path("runs/tasks/by_degree")) -> None:
    """Do nodes with many neighbours learn more?"""
    result = jdl.run(
        jdl.problems.digits(nodes, partition=jdl.data.partition.Dirichlet(alpha=0.1)),
        jdl.algorithms.DPSGD(lr=0.3, decay=optax.cosine_decay_schedule(1.0, rounds)),
        jdl.topology.barabasi_albert(nodes),
        rounds=rounds,
        per_node=True,
    )
    result.plot_nodes("accuracy", by="degree", path=out / "by_degree.png")
    last = result.nodes[result.nodes["round"] == rounds]
    last.groupby("degree")["accuracy"].agg(["mean", "min", "count"]).to_csv(out / "by_degree.csv")


if __name__ == "__main__":
    tyro.cli(main)
