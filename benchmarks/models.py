"""The time of a training step of many models as one program, against a PyTorch loop over the models.

    pip install torch
    python benchmarks/models.py [--out benchmarks/results/models.json] [--repeats 9]

Forward, backward and a step of SGD of n nodes, each with its own parameters and batch. Both take turns in one process,
so that a machine whose speed drifts slows both; the ratio is the median of those of the turns. jdl's steps run inside
one compiled loop, as those of a simulation do: mapped over nodes by `mapping="auto"`, networks with convolutions
divided over the cores as by `devices="auto"` (`ratio_one_device` is without that). PyTorch runs with one thread and
with one for each core, and counts with the faster. Beside them the rate of a float32 matrix product of 1,024 in the
same run; `of_peak` is the share of it that jdl's useful multiply-adds reach.
"""

from __future__ import annotations

import itertools
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


def torch_model(name: str):
    """The same network in PyTorch."""
    from torch.nn import Conv2d, Flatten, GroupNorm, Linear, MaxPool2d, ReLU, Sequential

    def convolution(inputs, features, groups):
        norm = [GroupNorm(groups, features)] if groups else []
        return [Conv2d(inputs, features, 5, padding=2), *norm, ReLU(), MaxPool2d(2)]

    if name == "lenet":
        body = [*convolution(1, 16, 0), *convolution(16, 32, 0), Flatten(), Linear(1568, 128), ReLU()]
        return Sequential(*body, Linear(128, CLASSES))
    if name == "gn_lenet":
        body = [*convolution(3, 32, 2), *convolution(32, 32, 2), *convolution(32, 64, 2), Flatten()]
        return Sequential(*body, Linear(1024, CLASSES))
    widths = {"mlp": (64, 32), "2nn": (784, 200, 200)}[name]
    pairs = itertools.pairwise(widths)
    return Sequential(*(part for a, b in pairs for part in (Linear(a, b), ReLU())), Linear(widths[-1], CLASSES))


def theirs(name: str, case: Case, threads: int) -> tuple[Callable[[], float], int]:
    """() -> seconds a node and step of the eager loop; the number of parameters."""
    import torch

    nodes = min(case.nodes, 128)  # a loop: its time a node does not depend on how many there are
    models = [torch_model(name) for _ in range(nodes)]
    optimizers = [torch.optim.SGD(model.parameters(), lr=RATE) for model in models]
    shape = (case.shape[2], *case.shape[:2]) if len(case.shape) == 3 else case.shape
    x, y = torch.randn(nodes, case.batch, *shape), torch.randint(0, CLASSES, (nodes, case.batch))

    def run():
        torch.set_num_threads(threads)
        start = time.perf_counter()
        for i, (model, optimizer) in enumerate(zip(models, optimizers, strict=True)):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[i]), y[i]).backward()
            optimizer.step()
        return (time.perf_counter() - start) / nodes

    run()
    return run, sum(p.numel() for p in models[0].parameters())


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
    """Measure one case: jdl and PyTorch take turns."""
    convolves = len(case.shape) == 3
    one, chosen, size = ours(case, 1)
    mine, chosen, size = ours(case, cores()) if convolves else (one, chosen, size)
    loops = {threads: theirs(name, case, threads) for threads in sorted({1, os.cpu_count() or 1})}
    assert all(size == count for _, count in loops.values())
    product, turns = peak(), []
    for _ in range(repeats):
        turns.append((mine(), {threads: loop() for threads, (loop, _) in loops.items()}, product(), one()))
    jdl_time = statistics.median(turn[0] for turn in turns)
    medians = {threads: statistics.median(turn[1][threads] for turn in turns) for threads in loops}
    best = min(medians, key=medians.get)
    rate = statistics.median(turn[2] for turn in turns)
    return {
        "parameters": size,
        "mapping": chosen,
        "jdl_microseconds": 1e6 * jdl_time,
        "jdl_least_microseconds": 1e6 * min(turn[0] for turn in turns),
        "torch_microseconds": 1e6 * medians[best],
        "torch_least_microseconds": 1e6 * min(turn[1][best] for turn in turns),
        "torch_threads": best,
        "ratio": statistics.median(turn[1][best] / turn[0] for turn in turns),
        "ratio_one_device": statistics.median(turn[1][best] / turn[3] for turn in turns),
        "matmul_gflops": 2e-9 * rate,
        "of_peak": statistics.median(case.multiplies * case.batch / turn[0] / turn[2] for turn in turns),
    }


def main(out: Path = Path("benchmarks/results/models.json"), repeats: int = 9, cases: tuple[str, ...] = tuple(CASES)):
    """Measure, print, and write the figures.

    Args:
      out: the JSON file to write.
      repeats: the number of turns of each case.
      cases: the cases to measure.
    """
    use_cores()
    figures: dict = {"machine": f"{os.cpu_count()} cores, {platform.machine()}, jax {jax.__version__}"}
    for name in cases:
        figures[name] = one = measured(name, CASES[name], repeats)
        print(
            f"{name:9s} {one['parameters']:7,d} parameters, mapping {one['mapping']}: "
            f"jdl {one['jdl_microseconds']:9.1f} us (least {one['jdl_least_microseconds']:.1f}), "
            f"torch {one['torch_microseconds']:9.1f} us ({one['torch_threads']} threads, "
            f"least {one['torch_least_microseconds']:.1f}), ratio {one['ratio']:.2f} "
            f"(on one device {one['ratio_one_device']:.2f}), "
            f"{100 * one['of_peak']:.0f} % of {one['matmul_gflops']:.0f} GFLOP/s",
            flush=True,
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
