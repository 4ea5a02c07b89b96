"""A figure of papers: D-PSGD stops at a distance that grows with heterogeneity; gradient tracking does not."""

from functools import partial
from pathlib import Path

import tyro

import jdl
from jdl import over


def main(nodes: int = 16, rounds: int = 500, seeds: int = 3, out: Path = Path("runs/tasks/heterogeneity")) -> None:
    """Loss above the optimum over heterogeneity."""
    methods = {"D-PSGD": jdl.algorithms.DPSGD(lr=0.1), "gradient tracking": jdl.algorithms.GradientTracking(lr=0.1)}
    table = jdl.sweep(
        problem=partial(jdl.problems.quadratic, nodes, heterogeneity=over(0.01, 0.1, 1.0, 10.0)),
        algorithm=over(methods),
        topology=jdl.topology.ring(nodes),
        rounds=rounds,
        seeds=seeds,
        run_dir=out / "sweep",
    )
    table.summary.to_csv(out / "summary.csv")
    table.plot("heterogeneity", "suboptimality", hue="algorithm", path=out / "heterogeneity.png")


if __name__ == "__main__":
    tyro.cli(main)
