"""When sixteen nodes of a ring compute and wait, if one of them is three times slower than the others.

    python experiments/time_line.py [--rounds 6] [--out benchmarks/results]

D-PSGD on the handwritten digits; a step takes 0.1 s, and a node sends and receives 5 Mbit/s. The slow node delays its
neighbours, one hop a round. It writes time_line.png.
"""

from __future__ import annotations

from pathlib import Path

import tyro

import jdl
from jdl.clock import Clock, FairShare, slow

NODES = 16


def main(rounds: int = 6, out: Path = Path("benchmarks/results")) -> None:
    """Draw the time line.

    Args:
      rounds: the number of rounds.
      out: the folder to write to.
    """
    clock = Clock(step=slow(NODES, step=0.1, share=1 / NODES, factor=3.0), links=FairShare(up=5e6, down=5e6))
    problem, method = jdl.problems.digits(nodes=NODES), jdl.algorithms.DPSGD(lr=0.1)
    simulation = jdl.simulation(problem, method, jdl.topology.ring(NODES), clock=clock)
    out.mkdir(parents=True, exist_ok=True)
    jdl.time_line(simulation, rounds=rounds, path=out / "time_line.png")


if __name__ == "__main__":
    tyro.cli(main)
