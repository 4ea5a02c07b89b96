"""Own data (two moons), own model (flax), own split (each node sees one strip of the plane)."""

from pathlib import Path

import flax.linen as nn
import numpy as np
from sklearn.datasets import make_moons

import jdl


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(2)(nn.tanh(nn.Dense(16)(x)))


def strips(features, nodes, seed):
    return np.array_split(np.argsort(features[:, 0]), nodes)


def main(nodes: int = 16, rounds: int = 300, out: Path = Path("runs/tasks/own_model_and_data")) -> None:
    x, y = make_moons(2000, noise=0.1, random_state=0)
    problem = jdl.problems.supervised((x.astype(np.float32), y), nodes, model=Net(), partition=strips)
    result = jdl.run(
        problem, jdl.algorithms.DPSGD(lr=0.3), jdl.topology.ring(nodes), rounds=rounds, run_dir=out / "run"
    )
    result.plot(out / "curves.png")
    print(result)


if __name__ == "__main__":
    main()
