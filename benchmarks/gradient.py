"""The memory and the time of derivatives through a simulation, over the number of rounds.

    python benchmarks/gradient.py [--out benchmarks/results/gradient.json]

D-PSGD on a ring of 8 nodes whose objectives ||x - b_i||^2 / 2 have 20,000 parameters, so that the state outweighs the
data. The derivative of the last loss with respect to the rate, by `jdl.differentiable`, and by a plain `lax.scan` of
the same rounds, which stores what each of them computes. Memory is the temporary memory of the compiled program by
XLA's account, in states of the run; times are medians, over that of the rounds without a derivative.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from flax import struct

import jdl

ROUNDS = (16, 64, 256, 1024)
STORED = (16, 64, 256)
NODES, DIM = 8, 20_000


@struct.dataclass
class Distances:
    """f_i(x) = ||x - b_i||^2 / 2."""

    b: jax.Array  # f[n, d]

    offers = frozenset()
    optimum = None

    @property
    def n(self):
        return self.b.shape[0]

    @property
    def num_examples(self):
        return jnp.ones(self.n, jnp.int32)

    def init(self, key):
        return jax.random.normal(key, self.b.shape[1:], self.b.dtype)

    def batch(self, id, batch_id):
        return self.b[id]

    def full_batch(self, id):
        return self.b[id]

    def loss(self, params, batch):
        return jnp.sum(jnp.square(params - batch)) / 2, ()

    def evaluate(self, params):
        return {"loss": self.loss(params, jnp.mean(self.b, axis=0))[0]}


def loss_after(lr: jax.Array, simulation: jdl.sim.Simulation, rounds: int, eval_every: int) -> jax.Array:
    """The mean loss after the last round."""
    s = simulation.replace(algorithm=simulation.algorithm.replace(lr=lr))
    return jdl.simulate(s, rounds, eval_every)[1]["mean_loss"][-1]


def loss_by_scan(lr: jax.Array, simulation: jdl.sim.Simulation, rounds: int) -> jax.Array:
    """The same by a scan that stores what each round computes."""
    s = simulation.replace(algorithm=simulation.algorithm.replace(lr=lr))
    one_round = lambda sim, _: (jdl.sim.step(s, sim)[0], None)
    state = jax.lax.scan(one_round, jdl.sim.init(s), length=rounds)[0]
    return jdl.sim.evaluate(s, state)["mean_loss"]


def seconds(program, *args: object) -> float:
    """The median of five calls."""
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        jax.block_until_ready(program(*args))
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def main(out: Path = Path("benchmarks/results/gradient.json")) -> None:
    """Measure, print, and write the figures.

    Args:
      out: the JSON file to write.
    """
    b = np.random.default_rng(0).standard_normal((NODES, DIM)).astype(np.float32)
    plain = jdl.simulation(Distances(jnp.asarray(b)), jdl.algorithms.DPSGD(lr=0.1), jdl.topology.ring(NODES))
    reversible, lr = jdl.differentiable(plain), jnp.float32(0.1)
    state = sum(leaf.nbytes for leaf in jax.tree.leaves(jax.jit(jdl.sim.init)(plain)))
    compiled = lambda f, *args: jax.jit(f, static_argnums=tuple(range(2, len(args)))).lower(*args).compile()
    held = lambda program: program.memory_analysis().temp_size_in_bytes / state
    figures: dict[str, object] = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, jax {jax.__version__}",
        "state_kb": state / 1e3,
    }
    for name, every in (("evaluated every round", 1), ("evaluated at the end", max(ROUNDS))):
        states, factors = [], []
        for rounds in ROUNDS:
            gradient = compiled(jax.grad(loss_after), lr, reversible, rounds, min(every, rounds))
            forward = compiled(loss_after, lr, plain, rounds, min(every, rounds))
            states.append(held(gradient))
            factors.append(seconds(gradient, lr, reversible) / seconds(forward, lr, plain))
        # What does not grow is left out: the differences of c + a T^p grow by 4^p from one T to the next.
        exponent = np.mean(np.diff(np.log(np.diff(states)))) / np.log(4)
        figures[name] = {
            "states": dict(zip(map(str, ROUNDS), np.round(states, 1).tolist(), strict=True)),
            "exponent": round(float(exponent), 3),
            "time_over_forward": dict(zip(map(str, ROUNDS), np.round(factors, 2).tolist(), strict=True)),
        }
        print(name, figures[name], flush=True)
    stored = [held(compiled(jax.grad(loss_by_scan), lr, plain, rounds)) for rounds in STORED]
    figures["stored by a scan"] = {
        "states": dict(zip(map(str, STORED), np.round(stored, 1).tolist(), strict=True)),
        "exponent": round(float(np.log(np.diff(stored)[1] / np.diff(stored)[0]) / np.log(4)), 3),
    }
    print("stored by a scan", figures["stored by a scan"])
    print("goal: an exponent of 0.5")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
