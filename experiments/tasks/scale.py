"""4,096 nodes learn handwritten digits in about a minute; only a sample of 128 models is evaluated on the way."""

from pathlib import Path

import tyro

import jdl


def main(nodes: int = 4096, rounds: int = 1000, sample: int = 128, out: Path = Path("runs/tasks/scale")) -> None:
    """Learn with thousands of nodes."""
    problem = jdl.problems.digits(nodes)
    graph = jdl.topology.one_peer_exponential(nodes)
    result = jdl.run(
        problem, jdl.algorithms.DPSGD(lr=0.3), graph, rounds=rounds, eval_nodes=sample, run_dir=out / "run"
    )
    result.plot(out / "curves.png")
    print(result)


if __name__ == "__main__":
    tyro.cli(main)
