"""The time of medians and trimmed means per node, against NumPy as ByzFL calls it, and against XLA's own sort.

    python benchmarks/robust.py [--out benchmarks/results/robust.json] [--repeats 15]

A node has a model of 10,000 float32, hears k - 1 neighbours of a random regular graph, and takes its own model as the
k-th. jdl's rounds run inside one compiled loop, in which each model is the next round's message, on all cores; the
weighted mean over the same slots is the yardstick for what reading the messages costs. NumPy
computes the nodes one by one, from rows that lie side by side, and so pays for no gather: `np.median(x, axis=0)` and
`np.mean(np.sort(x, axis=0)[f:-f], axis=0)` are the lines of `Median` and `TrMean` in ByzFL's
`byzfl/aggregators/aggregators.py` (github.com/LPD-EPFL/byzfl, 2025). All take turns in one process.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import jdl
from jdl.exchange import mixing
from jdl.types import Exchange, Plan, Wire

SIZE = 10_000
FEW = 32  # nodes for NumPy and for XLA's sort, whose time per node does not depend on their number


class Case(NamedTuple):
    messages: int
    trim: int


CASES = (Case(6, 1), Case(10, 2), Case(20, 4))

Turn = Callable[[], float]  # () -> microseconds per node


def in_a_loop(step: Callable[[Plan, jax.Array], jax.Array], plan: Plan, x: jax.Array, rounds: int) -> Turn:
    """`rounds` times `x = step(plan, x)` as one program."""
    loop = jax.jit(lambda plan, x, rounds: jax.lax.fori_loop(0, rounds, lambda _, x: step(plan, x), x))
    loop = loop.lower(plan, x, jnp.int32(rounds)).compile()

    def turn():
        start = time.perf_counter()
        jax.block_until_ready(loop(plan, x, jnp.int32(rounds)))
        return 1e6 * (time.perf_counter() - start) / (rounds * x.shape[0])

    turn()
    return turn


def by(rule: Exchange) -> Callable[[Plan, jax.Array], jax.Array]:
    """A round of an exchange."""

    def step(plan, x):
        bits = jnp.full(x.shape[0], 32.0 * SIZE)
        wire = Wire(x, x, bits, plan, origin=jnp.arange(x.shape[0], dtype=jnp.int32), roles=None)
        return rule.apply((), wire, jax.random.key(0))[0]

    return step


def sorted_by_xla(plan: Plan, x: jax.Array) -> jax.Array:
    """The median by XLA's own sort."""
    return jnp.median(jnp.stack(mixing.neighbourhood(plan, x, x)[0], axis=1), axis=1)


def by_numpy(rule: Callable[[np.ndarray], np.ndarray], x: np.ndarray, messages: int) -> Turn:
    """NumPy's rule, for one node after another."""

    def turn():
        start = time.perf_counter()
        for node in range(FEW):
            rule(x[node : node + messages])
        return 1e6 * (time.perf_counter() - start) / FEW

    turn()
    return turn


def measured(case: Case, nodes: int, repeats: int) -> dict[str, float]:
    """The medians of one case, and the middle half of its ratios."""
    k, trim = case
    x = np.random.default_rng(0).standard_normal((nodes, SIZE)).astype(np.float32)
    plan = jdl.topology.random_regular(nodes, k - 1, seed=0).plan("slots")
    few = jdl.topology.random_regular(FEW, k - 1, seed=0).plan("slots")
    models, rounds = jnp.asarray(x), 4
    turns = {
        "mean": in_a_loop(lambda plan, x: mixing.mix(plan, x, x), plan, models, rounds),
        "median": in_a_loop(by(jdl.exchange.CoordinateMedian()), plan, models, rounds),
        "median_numpy": by_numpy(lambda x: np.median(x, axis=0), x, k),
        "median_xla_sort": in_a_loop(sorted_by_xla, few, models[:FEW], 1),
        "trimmed": in_a_loop(by(jdl.exchange.TrimmedMean(trim)), plan, models, rounds),
        "trimmed_numpy": by_numpy(lambda x: np.mean(np.sort(x, axis=0)[trim:-trim], axis=0), x, k),
    }
    times = [{name: turn() for name, turn in turns.items()} for _ in range(repeats)]
    out = {f"{name}_microseconds": statistics.median(one[name] for one in times) for name in turns}
    for rule in ("median", "trimmed"):
        ratios = [one[f"{rule}_numpy"] / one[rule] for one in times]
        low, middle, high = statistics.quantiles(ratios, n=4)
        out |= {f"{rule}_ratio": middle, f"{rule}_ratio_low": low, f"{rule}_ratio_high": high}
        out[f"{rule}_means"] = statistics.median(one[rule] / one["mean"] for one in times)
    return out


def main(out: Path = Path("benchmarks/results/robust.json"), nodes: int = 256, repeats: int = 15):
    """Measure, print, and write the figures.

    Args:
      out: the JSON file to write.
      nodes: the number of nodes of jdl's rounds.
      repeats: the number of turns of each case.
    """
    figures: dict = {"machine": f"{os.cpu_count()} cores, {platform.machine()}, jax {jax.__version__}, "}
    figures["machine"] += f"numpy {np.__version__}"
    for case in CASES:
        figures[f"{case.messages} messages"] = one = measured(case, nodes, repeats)
        for rule in ("median", "trimmed"):
            print(
                f"{case.messages:2d} messages, {rule:7s}: jdl {one[f'{rule}_microseconds']:6.1f} us per node "
                f"({one[f'{rule}_means']:.2f} of the mean's), "
                f"NumPy {one[f'{rule}_numpy_microseconds']:7.1f} us, ratio {one[f'{rule}_ratio']:.1f} "
                f"({one[f'{rule}_ratio_low']:.1f} to {one[f'{rule}_ratio_high']:.1f})",
                flush=True,
            )
        print(f"             median by XLA's sort: {one['median_xla_sort_microseconds']:.0f} us", flush=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
