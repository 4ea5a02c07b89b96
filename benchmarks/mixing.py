"""The time of gossip in every form of a plan, against one copy of the parameters, SciPy and `W @ X`.

    python benchmarks/mixing.py [--nodes 4096 16384] [--out benchmarks/results/mixing.json]

Two yardsticks, both one pass over the same array that reads and writes it, in turns with what is measured:

- *fresh*: the result goes into memory just taken from the system, as it does for any call from Python. On a CPU the
  paging in of that memory is most of the copy's own time.
- *reused*: the result goes into a buffer that is already there, as it does inside a compiled run. This is the memory
  rate proper: a copy reads and writes every number once, and a graph of degree k without locality reads k + 1 times.

`temporary` is what XLA allocates beside the output, in copies of the parameters. `rate` compares bytes that have to
move (k + 1 reads and a write of every row) a second with those of the copy into a reused buffer.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import jdl
from jdl.exchange.mixing import mix
from jdl.topology import Topology, grouped

SCALE = 1 + 2**-20  # any number that XLA does not simplify away

FORMS = {
    "ring": (lambda n: jdl.topology.ring(n), ("circulant", "slots")),
    "torus": (lambda n: jdl.topology.torus(n), ("slots",)),
    "circulant, degree 4": (lambda n: jdl.topology.circulant("circulant", n, (1, -1, 8, -8)), ("circulant",)),
    "random_regular, degree 4": (lambda n: jdl.topology.random_regular(n, 4), ("slots", "edges")),
    "random_regular, degree 8": (lambda n: jdl.topology.random_regular(n, 8), ("slots",)),
    "barabasi_albert, degree 2 (mean 4)": (lambda n: jdl.topology.barabasi_albert(n, 2), ("hubs",)),
    "barabasi_albert, degree 4 (mean 8)": (lambda n: jdl.topology.barabasi_albert(n, 4), ("hubs",)),
    "star": (lambda n: jdl.topology.star(n), ("hubs",)),
    "complete": (lambda n: jdl.topology.complete(n), ("groups",)),
    "groups of 32": (lambda n: grouped("groups", np.arange(n) % (n // 32)), ("groups",)),
    "matching": (lambda n: grouped("pairs", np.random.default_rng(0).permutation(n) // 2), ("slots",)),
}


def plain_copy(x: jax.Array) -> jax.Array:
    """A copy by all cores: `jnp.copy` runs on one, and is the slower for it where memory has to be paged in."""
    return x * SCALE


def fresh(function: Callable, x: jax.Array) -> Callable[[], float]:
    """() -> seconds of a call whose result goes into new memory."""
    compiled = jax.jit(function)
    jax.block_until_ready(compiled(x))

    def call():
        start = time.perf_counter()
        jax.block_until_ready(compiled(x))
        return time.perf_counter() - start

    return call


def reused(function: Callable, x: jax.Array) -> Callable[[], float]:
    """() -> seconds of a call whose result goes into a buffer given to it."""
    compiled = jax.jit(lambda x, spare: function(x), donate_argnums=1, keep_unused=True)
    spare = jax.block_until_ready(compiled(x, jnp.zeros_like(x)))

    def call():
        nonlocal spare
        start = time.perf_counter()
        spare = jax.block_until_ready(compiled(x, spare))
        return time.perf_counter() - start

    return call


def ratio(function: Callable, x: jax.Array, way: Callable, repeats: int) -> float:
    """Time of a function over that of a copy (as a pass of its own, on all cores): the median over turns."""
    ours, copy = way(function, x), way(plain_copy, x)
    return statistics.median(ours() / copy() for _ in range(repeats))


def row(topology: Topology, form: str, x: jax.Array, repeats: int) -> dict[str, float]:
    """Measure one form of one graph."""
    plan = topology.plan(form)
    function = lambda x: mix(plan, x, x)
    temporary = jax.jit(function).lower(x).compile().memory_analysis().temp_size_in_bytes
    warm = ratio(function, x, reused, repeats)
    return {
        "fresh": ratio(function, x, fresh, repeats),
        "reused": warm,
        "rate": (topology.degree.mean() + 2) / 2 / warm,
        "temporary": temporary / x.nbytes,
    }


def narrowed(x: jax.Array, repeats: int) -> dict[str, float]:
    """Measure gossip over a random 8-regular graph whose messages are sent as bfloat16."""
    plan = jdl.topology.random_regular(len(x), 8).plan("slots")
    function = lambda x: mix(plan, x, x.astype(jnp.bfloat16))
    return {"fresh": ratio(function, x, fresh, repeats), "reused": ratio(function, x, reused, repeats)}


def others(x: jax.Array, repeats: int) -> dict[str, dict[str, float]]:
    """Measure messages of half the bytes, and 4-regular gossip by SciPy and a dense product, against a fresh copy."""
    topology = jdl.topology.random_regular(len(x), 4)
    W, host = topology.weights.astype(np.float32), np.asarray(x)
    copy = fresh(plain_copy, x)

    def scipy():
        start = time.perf_counter()
        W @ host
        return time.perf_counter() - start

    repeats = min(repeats, 3)
    found = {"random_regular, degree 8, bfloat16": narrowed(x, repeats)}
    found |= {"scipy.sparse @, degree 4": {"fresh": statistics.median(scipy() / copy() for _ in range(repeats))}}
    if len(x) <= 4096:
        dense = jnp.asarray(W.toarray())
        found["W @ X, degree 4"] = {"fresh": ratio(lambda x: dense @ x, x, fresh, repeats)}
    return found


def main(
    out: Path = Path("benchmarks/results/mixing.json"),
    nodes: tuple[int, ...] = (4096, 16384),
    numbers: int = 10_000,
    repeats: int = 9,
) -> None:
    """Measure, print, and write the figures.

    Args:
      out: the JSON file to write.
      nodes: the numbers of rows.
      numbers: the number of float32 in a row.
      repeats: the number of turns of each pair.
    """
    device = jax.devices()[0]
    figures = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {device.device_kind}, jax {jax.__version__}",
        "numbers": numbers,
    }
    for n in nodes:
        x = jax.random.normal(jax.random.key(0), (n, numbers), jnp.float32)
        copy = reused(plain_copy, x)
        seconds = statistics.median(copy() for _ in range(repeats))
        figures[n] = {"copy_reused_gb_per_second": 2 * x.nbytes / seconds / 1e9}
        print(f"n = {n}, d = {numbers}: a copy into a reused buffer moves {2 * x.nbytes / seconds / 1e9:.0f} GB/s")
        rows = {f"{name}, {form}": (make(n), form) for name, (make, forms) in FORMS.items() for form in forms}
        for name, (topology, form) in rows.items():
            figures[n][name] = row(topology, form, x, repeats)
            print(f"{name:45s}", *(f"{key} {value:5.2f}" for key, value in figures[n][name].items()), flush=True)
        for name, found in others(x, repeats).items():
            figures[n][name] = found
            print(f"{name:45s}", *(f"{key} {value:5.2f}" for key, value in found.items()), flush=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
