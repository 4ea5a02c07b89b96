"""Drawing the places of minibatches for n nodes: jdl's fused generator against the same keys by `jax.random`.

    python benchmarks/draws.py [--out benchmarks/results/draws.json]

In a compiled loop over rounds, each node folds its number and that of its minibatch into the key of the round, and
draws 16 places among 32. `jax.random` does it by `fold_in` and `randint`, or by `fold_in` and `bits`. Variants take
turns; figures are medians over turns and quartiles of the ratios to jdl. When `bits` is no longer slower than jdl,
`jdl.engine.xla.threefry` may go.
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
import tyro

from jdl import rng

BATCH, EXAMPLES, ROUNDS = 16, 32, 40


def ours(key, node):
    return rng.integers(rng.fold_in(key, node, 0), BATCH, jnp.int32(EXAMPLES))


def randint(key, node):
    key = jax.random.fold_in(jax.random.fold_in(key, node), 0)
    return jax.random.randint(key, (BATCH,), 0, jnp.int32(EXAMPLES), jnp.int32)


def bits(key, node):
    key = jax.random.fold_in(jax.random.fold_in(key, node), 0)
    return (jax.random.bits(key, (BATCH,), jnp.uint32) >> 27).astype(jnp.int32)


def compiled(draw, n: int):
    """A function without arguments that gives seconds a round, and the seconds of tracing and compiling it."""

    def loop(root, rounds):
        def body(t, total):
            key = jax.random.fold_in(root, t)
            return total + jax.vmap(lambda node: draw(key, node))(jnp.arange(n, dtype=jnp.int32))

        return jax.lax.fori_loop(0, rounds, body, jnp.zeros((n, BATCH), jnp.int32))

    start, root = time.perf_counter(), jax.random.key(0)
    program = jax.jit(loop).lower(root, ROUNDS).compile()
    first = time.perf_counter() - start

    def run() -> float:
        start = time.perf_counter()
        jax.block_until_ready(program(root, ROUNDS))
        return (time.perf_counter() - start) / ROUNDS

    run()
    return run, first


def main(out: Path = Path("benchmarks/results/draws.json"), turns: int = 15) -> None:
    """Measure, print, and write the figures.

    Args:
      out: the JSON file to write.
      turns: the number of turns of each variant.
    """
    figures: dict[str, object] = {"machine": f"{os.cpu_count()} cores, {platform.machine()}, jax {jax.__version__}"}
    for n in (64, 1024, 4096):
        runs = {draw.__name__: compiled(draw, n) for draw in (ours, randint, bits)}
        times = [{name: run() for name, (run, _) in runs.items()} for _ in range(turns)]
        for name, (_, first) in runs.items():
            ratios = [turn[name] / turn["ours"] for turn in times]
            figures[f"{name}, n={n}"] = row = {
                "microseconds_a_round": statistics.median(turn[name] for turn in times) * 1e6,
                "over_ours": statistics.quantiles(ratios, n=4),
                "trace_and_compile_seconds": first,
            }
            print(f"{name}, n={n}", row)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
