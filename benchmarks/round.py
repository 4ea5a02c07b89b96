"""The time of a round: jdl against a hand-written loop, and the time per node and step against n.

    python benchmarks/round.py [--out benchmarks/results/round.json]

Both loops do the same arithmetic on the same shapes: 64-32-10 network, batch 16 drawn with replacement, D-PSGD on a
random 4-regular graph. Variants take turns, so that a machine whose speed drifts slows all of them; figures are
medians of the ratios. Beside them: one copy of all models, and a matrix product with as many multiply-adds as the
round's network, both in the same run.
"""

from __future__ import annotations

import functools
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

import jdl
from jdl import sim as simulator
from jdl.data import Partition
from jdl.data.readers.embedded import digits
from jdl.models import MLP
from jdl.problems import Supervised

BATCH, EXAMPLES = 16, 32


def problem(n: int) -> Supervised:
    """Every node holds 32 examples, so that batches of 16 are drawn."""
    data = digits()
    rows = np.random.default_rng(0).integers(0, len(data.train_y), (n, EXAMPLES), dtype=np.int32)
    split = Partition(indices=rows, counts=np.full(n, EXAMPLES, np.int32))
    return Supervised.from_data(data, split, MLP(hidden=(32,), classes=10), batch_size=BATCH)


def contract(n: int):
    """A function from rounds to seconds, for jdl."""
    graph = jdl.topology.random_regular(n, degree=4)
    simulation = jdl.simulation(problem(n), jdl.algorithms.DPSGD(lr=0.1), graph)
    advance = jax.jit(lambda s, sim, k: simulator.advance(s, sim, sim.t + k)[0], donate_argnums=1)
    sim = advance(simulation, jax.jit(simulator.init)(simulation), 1)

    def run(rounds):
        nonlocal sim
        start = time.perf_counter()
        sim = jax.block_until_ready(advance(simulation, sim, rounds))
        return time.perf_counter() - start

    return run


def by_hand(n: int):
    """A function from rounds to seconds, for a loop written by hand for this task only."""
    task = problem(n)
    links = jdl.topology.random_regular(n, degree=4).plan("slots").links
    one = task.init(jax.random.key(0))
    models = jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *x.shape)), one)

    def loss(params, x, y):
        logits = task.module.apply(params, x)
        one_hot = jax.nn.one_hot(y, 10)
        return jnp.mean(jax.nn.logsumexp(logits, axis=1) - jnp.sum(one_hot * logits, axis=1))

    @functools.partial(jax.jit, donate_argnums=0)
    def loop(models, task, links, lr, key, rounds):
        def node_gradient(params, key, rows):
            chosen = rows[jax.random.randint(key, (BATCH,), 0, EXAMPLES, jnp.int32)]
            return jax.grad(loss)(params, task.train_x[chosen], task.train_y[chosen])

        def mix(x):
            total = x
            for slot in range(links.senders.shape[1]):
                weight = links.weights[:, slot].reshape((-1,) + (1,) * (x.ndim - 1))
                total = total + weight * (x[links.senders[:, slot]] - x)
            return total

        def body(t, models):
            keys = jax.vmap(functools.partial(jax.random.fold_in, jax.random.fold_in(key, t)))(jnp.arange(n))
            grads = jax.vmap(node_gradient)(models, keys, task.indices)
            return jax.tree.map(lambda x, g: mix(x - lr * g), models, grads)

        return jax.lax.fori_loop(0, rounds, body, models)

    models = loop(models, task, links, jnp.float32(0.1), jax.random.key(0), 1)

    def run(rounds):
        nonlocal models
        start = time.perf_counter()
        models = jax.block_until_ready(loop(models, task, links, jnp.float32(0.1), jax.random.key(0), rounds))
        return time.perf_counter() - start

    return run


def yardsticks(n: int) -> dict[str, float]:
    """Seconds of one copy of all models, and of a product with the multiply-adds of one round's network."""
    x = jnp.ones((n, 2410))
    copy = jax.jit(lambda x, a: x + a, donate_argnums=0)
    multiply_adds = n * BATCH * 3 * (64 * 32 + 32 * 10)  # forward, and twice as many backward
    side = 1024
    product = jax.jit(lambda a, b: a @ b)
    a = jnp.ones((side, side))
    x = jax.block_until_ready(copy(x, 1.0))
    jax.block_until_ready(product(a, a))
    copies, products = [], []
    for _ in range(9):
        start = time.perf_counter()
        x = jax.block_until_ready(copy(x, 1.0))
        copies.append(time.perf_counter() - start)
        start = time.perf_counter()
        jax.block_until_ready(product(a, a))
        products.append((time.perf_counter() - start) / side**3 * multiply_adds)
    return {"copy": statistics.median(copies), "matmul": statistics.median(products)}


def main(out: Path = Path("benchmarks/results/round.json"), repeats: int = 7) -> None:
    """Measure, print, and write the figures.

    Args:
      out: the JSON file to write.
      repeats: the number of turns of each variant.
    """
    n = 1024
    ours, theirs = contract(n), by_hand(n)
    pairs = [(ours(40) / 40, theirs(40) / 40) for _ in range(repeats)]
    overhead = statistics.median(a / b for a, b in pairs)
    limits = yardsticks(n)
    per_round = statistics.median(a for a, _ in pairs)
    print(f"contract / hand-written, n={n}: {overhead:.3f} (goal 1.15); all: {[round(a / b, 3) for a, b in pairs]}")
    copies, products = per_round / limits["copy"], per_round / limits["matmul"]
    print(f"round / copy of the models: {copies:.1f}; round / matmul limit: {products:.1f}")

    sizes = (256, 1024, 4096, 16384)
    runs = {size: contract(size) for size in sizes}
    rounds = {size: max(30, 80 * 256 // size) for size in sizes}
    turns = [{size: runs[size](rounds[size]) / rounds[size] / size for size in sizes} for _ in range(repeats)]
    step = {size: statistics.median(turn[size] for turn in turns) for size in sizes}
    flat = {size: statistics.median(turn[size] / turn[256] for turn in turns) for size in sizes}
    spread = statistics.median(max(turn.values()) / min(turn.values()) for turn in turns)
    for size in sizes:
        print(f"n={size}: {step[size] * 1e6:.2f} us a node-step, {flat[size]:.2f} x that of n=256")
    print(f"largest / smallest over n: {spread:.2f} (goal 1.3)")

    figures = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, jax {jax.__version__}",
        "contract_over_hand_written": overhead,
        "round_over_copy_of_models": copies,
        "round_over_matmul_limit": products,
        "node_step_over_that_of_n_256": flat,
        "node_step_largest_over_smallest": spread,
        "node_step_microseconds": {size: seconds * 1e6 for size, seconds in step.items()},
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
