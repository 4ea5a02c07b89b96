"""Gossip alone, held against theory: disagreement shrinks by lambda_2 a round in the long run."""

import json
from pathlib import Path

import numpy as np

import jdl


def main(nodes: int = 64, rounds: int = 100, out: Path = Path("runs/tasks/theory")) -> None:
    problem = jdl.problems.quadratic(nodes)
    start = np.random.default_rng(0).normal(size=(nodes, 10)).astype(np.float32)
    graphs = {"ring": jdl.topology.ring(nodes), "torus": jdl.topology.torus(nodes)}
    curves, report = {}, {}
    for name, graph in graphs.items():
        run = jdl.run(problem, jdl.algorithms.DPSGD(lr=0), graph, rounds=rounds, eval_every=1, params=start)
        t, distance = run.history.round, np.sqrt(run.history.consensus_distance)
        predicted = distance[0] * jdl.topology.lambda_2(graph) ** t
        curves |= {
            name: {"round": t, "disagreement": distance},
            f"{name}, bound": {"round": t, "disagreement": predicted},
        }
        measured = int(np.argmax(distance <= 0.1 * distance[0]))
        report[name] = {"measured": measured, "predicted": jdl.theory.predicted_rounds(graph, eps=0.1)}
    jdl.compare(curves, y="disagreement", logy=True, path=out / "curves.png")
    (out / "rounds.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main()
