"""The time of a training step of many models as one program, against the ways to write it in PyTorch.

    pip install ".[benchmarks]"
    python benchmarks/models.py [--out benchmarks/results/models.json] [--repeats 9]

Forward, backward and a step of SGD of n nodes, each with its own parameters and batch. Both take turns in one process,
so that a machine whose speed drifts slows both; the ratio is the median of those of the turns. jdl's steps run inside
one compiled loop, as those of a simulation do: mapped over nodes by `mapping="auto"`, networks with convolutions
divided over the cores as by `devices="auto"` (`ratio_one_device` is without that). PyTorch runs as an eager loop over
the models, as `vmap(grad)` and as `torch.compile(vmap(grad))`, each with one thread and with one for each core; the
fastest of them counts. Beside them the rate of a float32 matrix product of 1,024 in the same run; `of_peak` is the
share of it that jdl's useful multiply-adds reach.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from flax import linen as nn
from turns import digits, shown, spread

from jdl.engine.cost import cost_of
from jdl.engine.mapping import CACHE_BYTES, MEMORY_BYTES, choose, over_nodes
from jdl.engine.placement import cores, divided_rows, mesh_over, use_cores
from jdl.models import MLP, GNLeNet, McMahanCNN

RATE, CLASSES = 0.01, 10
LENET = McMahanCNN(channels=(16, 32), hidden=128)


class Case(NamedTuple):
    """multiplies: multiply-adds of one example, forward and backward, without the gradient of the input."""

    model: nn.Module
    shape: tuple[int, ...]
    nodes: int
    batch: int
    steps: int
    multiplies: int


CASES = {
    "lenet": Case(LENET, (28, 28, 1), 32, 32, 2, 2 * 313_600 + 3 * (2_508_800 + 200_704 + 1_280)),
    "gn_lenet": Case(GNLeNet(), (32, 32, 3), 32, 32, 1, 2 * 2_457_600 + 3 * (6_553_600 + 3_276_800 + 10_240)),
    "mlp": Case(MLP((32,), CLASSES), (64,), 1024, 16, 20, 2 * 2_048 + 3 * 320),
    "2nn": Case(MLP((200, 200), CLASSES), (784,), 100, 10, 5, 2 * 156_800 + 3 * 42_000),
}


def ours(case: Case, devices: int) -> tuple[Callable[[], float], Any, int]:
    """() -> seconds a node and step; what "auto" chose; the number of parameters."""
    mesh = mesh_over(devices)
    keys = jax.random.split(jax.random.key(0), case.nodes)
    x = jax.random.normal(jax.random.key(1), (case.nodes, case.batch, *case.shape))
    y = jax.random.randint(jax.random.key(2), (case.nodes, case.batch), 0, CLASSES)

    def step(_, params, x, y):
        def loss(params):
            logits = case.model.apply(params, x)
            one_hot = jax.nn.one_hot(y, CLASSES)
            return jnp.mean(jax.nn.logsumexp(logits, axis=1) - jnp.sum(one_hot * logits, axis=1))

        return jax.tree.map(lambda value, slope: value - RATE * slope, params, jax.grad(loss)(params))

    def steps(params, x, y):
        mapped = over_nodes(step, "auto", "step", mesh)
        return jax.lax.fori_loop(0, case.steps, lambda _, params: mapped((), params, x, y), params)

    params = jax.jit(jax.vmap(lambda key: case.model.init(key, x[0, :1])))(keys)
    one = jax.tree.map(lambda v: jax.ShapeDtypeStruct(v.shape[1:], v.dtype), (params, x, y))
    cost = cost_of(step, (), *one)
    at_once = CACHE_BYTES if cost.convolves else MEMORY_BYTES
    chosen = choose(case.nodes // devices, cost.held_bytes, jax.default_backend(), at_once)
    size = sum(leaf.size for leaf in jax.tree.leaves(one[0]))
    state = (params, x, y)
    where = {} if mesh is None else {"in_shardings": divided_rows(mesh)}
    compiled = jax.jit(steps, donate_argnums=0, **where).lower(*state).compile()
    if mesh is not None:
        params, x, y = jax.device_put(state, where["in_shardings"])

    def run():
        nonlocal params
        start = time.perf_counter()
        params = jax.block_until_ready(compiled(params, x, y))
        return (time.perf_counter() - start) / (case.nodes * case.steps)

    run()
    return run, chosen, size


def theirs(name: str, case: Case, threads: int) -> tuple[dict[str, Callable[[], float]], int]:
    """For each of PyTorch's ways () -> seconds a node and step; the number of parameters."""
    import in_torch
    import torch

    widths = {"mlp": (64, 32, CLASSES), "2nn": (784, 200, 200, CLASSES)}
    make = {"lenet": in_torch.lenet, "gn_lenet": in_torch.gn_lenet}.get(name, lambda: in_torch.dense(widths[name]))
    shape = (case.shape[2], *case.shape[:2]) if len(case.shape) == 3 else case.shape
    models = [make() for _ in range(case.nodes)]
    x, y = torch.randn(case.nodes, case.batch, *shape), torch.randint(0, CLASSES, (case.nodes, case.batch))
    few = min(case.nodes, 128)  # a loop: its time a node does not depend on how many there are
    ways = in_torch.at_once(models, x, y, threads, RATE)
    runs = {way: lambda run=run: run() / case.nodes for way, run in ways.items()}
    eager = in_torch.eager_loop(models[:few], x, y, threads, RATE)
    runs = {"eager loop": lambda: eager() / few, **runs}
    for run in runs.values():
        run()
    return runs, sum(p.numel() for p in models[0].parameters())


def peak() -> Callable[[], float]:
    """() -> multiply-adds a second of a matrix product."""
    size, times = 1024, 10
    a = jnp.asarray(np.random.default_rng(0).standard_normal((size, size)), jnp.float32)
    product = jax.jit(jnp.matmul)
    jax.block_until_ready(product(a, a))

    def run():
        start = time.perf_counter()
        for _ in range(times):
            out = product(a, a)
        jax.block_until_ready(out)
        return times * size**3 / (time.perf_counter() - start)

    return run


def measured(name: str, case: Case, repeats: int) -> dict[str, Any]:
    """Measure one case: jdl and PyTorch take turns. PyTorch counts with the fastest of its ways and threads."""
    convolves = len(case.shape) == 3
    one, chosen, size = ours(case, 1)
    mine, chosen, size = ours(case, cores()) if convolves else (one, chosen, size)
    loops = {}
    for threads in sorted({1, os.cpu_count() or 1}):
        ways, count = theirs(name, case, threads)
        assert size == count
        loops |= {(way, threads): run for way, run in ways.items()}
    product, turns = peak(), []
    for _ in range(repeats):
        turns.append((mine(), {way: loop() for way, loop in loops.items()}, product(), one()))
    medians = {way: statistics.median(turn[1][way] for turn in turns) for way in loops}
    best = min(medians, key=medians.get)
    over = lambda way, mine=0: spread([turn[1][way] / turn[mine] for turn in turns])
    fastest = {way: min((w for w in loops if w[0] == way), key=medians.get) for way, _ in loops}
    return {
        "parameters": size,
        "mapping": chosen,
        "jdl_microseconds": 1e6 * statistics.median(turn[0] for turn in turns),
        "jdl_least_microseconds": 1e6 * min(turn[0] for turn in turns),
        "torch_microseconds": {way: 1e6 * medians[fast] for way, fast in fastest.items()},
        "torch_threads": {way: fast[1] for way, fast in fastest.items()},
        "torch_over_jdl": {way: over(fast) for way, fast in fastest.items()},
        "best_of_torch": best[0],
        "ratio": over(best),
        "ratio_one_device": over(best, 3),
        "matmul_gflops": 2e-9 * statistics.median(turn[2] for turn in turns),
        "of_peak": statistics.median(case.multiplies * case.batch / turn[0] / turn[2] for turn in turns),
    }


def main(out: Path = Path("benchmarks/results/models.json"), repeats: int = 9, cases: tuple[str, ...] = tuple(CASES)):
    """Measure, print, and add the figures to a file.

    Args:
      out: the JSON file.
      repeats: the number of turns of each case.
      cases: the cases to measure.
    """
    use_cores()
    for name in cases:
        one = measured(name, CASES[name], repeats)
        others = "; ".join(
            f"{way} {digits(one['torch_microseconds'][way])} us ({one['torch_threads'][way]} threads), {shown(over)}"
            for way, over in one["torch_over_jdl"].items()
        )
        print(
            f"{name}: {one['parameters']:,d} parameters, mapping {one['mapping']}: jdl",
            f"{digits(one['jdl_microseconds'])} us,",
            f"{100 * one['of_peak']:.0f} % of {one['matmul_gflops']:.0f} GFLOP/s;",
            f"PyTorch over jdl: {others}; best {shown(one['ratio'])}, on one device {shown(one['ratio_one_device'])}",
            flush=True,
        )
        figures = json.loads(out.read_text()) if out.exists() else {}
        figures["machine"] = f"{os.cpu_count()} cores, {platform.machine()}, jax {jax.__version__}"
        figures[name] = one
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
