"""A graph of one's own, the karate club of networkx: its report, its picture, and a run over it."""

import json
from pathlib import Path

import networkx as nx
import tyro

import jdl


def main(dim: int = 10, rounds: int = 300, out: Path = Path("runs/tasks/own_graph")) -> None:
    """Learn over the karate club."""
    club = jdl.topology.from_graph(nx.karate_club_graph(), name="karate club", weights="metropolis")
    report = jdl.graph_report(club)
    print(json.dumps(report, indent=2))
    jdl.draw(club, out / "graph.png")
    result = jdl.run(jdl.problems.quadratic(club.n, dim), jdl.algorithms.DPSGD(lr=0.1), club, rounds=rounds)
    result.plot(out / "curves.png")
    (out / "report.json").write_text(json.dumps(report))


if __name__ == "__main__":
    tyro.cli(main)
