"""Gossip on a ring against theory: disagreement shrinks by lambda_2 a round at worst, which predicts the rounds."""

import json
from pathlib import Path

import numpy as np

import jdl


def main(nodes=32, rounds=250, eps=0.1, out=Path("runs/tasks/theory")) -> None:
    graph, problem = jdl.topology.ring(nodes), jdl.problems.quadratic(nodes)
    slowest = np.linalg.eigh(jdl.topology.to_dense(graph))[1][:, -2:-1]  # of eigenvalue lambda_2
    starts = {"random start": np.random.default_rng(0).normal(size=(nodes, 10)), "worst start": slowest * np.ones(10)}
    curves, reached = {}, {"predicted": jdl.theory.predicted_rounds(graph, eps)}
    for name, start in starts.items():
        parts = problem, jdl.algorithms.DPSGD(lr=0.0), graph  # a rate of zero: nodes only talk
        run = jdl.run(*parts, rounds=rounds, eval_every=1, params=start.astype(np.float32))
        disagreement = np.sqrt(run.history.consensus_distance / run.history.consensus_distance[0])
        curves[name] = {"round": run.history.round, "disagreement": disagreement}
        reached[name] = int(np.argmax(disagreement <= eps))
    bound = jdl.topology.lambda_2(graph) ** run.history.round
    jdl.compare(
        curves | {"bound": {"round": run.history.round, "disagreement": bound}},
        path=out / "curves.png",
        y="disagreement",
    )
    (out / "rounds.json").write_text(json.dumps(reached))


if __name__ == "__main__":
    main()
