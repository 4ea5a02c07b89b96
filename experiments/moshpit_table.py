"""Published iterations of averaging with peers that fail, beside those of this library.

    python experiments/moshpit_table.py [--nodes 512 768 1024] [--restarts 10] [--out results/moshpit]

Every node starts with a number from N(0, 1) and only averages. Counted are the iterations until the variance over nodes
is below 1e-9, at most 50, in the mean over restarts, where every node fails in an iteration with some probability:

- all-reduce of all nodes, which gives up when anybody fails;
- gossip on a ring, which leaves out those who failed;
- random groups of 32, drawn anew in every iteration, and Moshpit averaging on a grid of 32 x 32.

The published numbers are those of Ryabinin et al. (2021) for 512 nodes and ten restarts. Their all-reduce waits for the
first iteration in which nobody fails, a geometric time with mean 1 / (1 - p)^n = 13.0 and a standard deviation of 12.5,
so that a mean of ten is uncertain by 3.9; the column "expected" is its mean, cut at 50 iterations. (The seeds 0 to 9 of
their simulation give the published 10.9, seeds 0 to 99 give 12.1.) It writes table.csv.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import jdl
from jdl.exchange.mixing import mix
from jdl.schedule import FailingGroups, Fixed, Moshpit, RandomGroups, Sleeping

GROUP, MOST, EPS = 32, 50, 1e-9
PUBLISHED = {  # method -> probability of a failure -> iterations, 512 nodes
    "all-reduce": {0.0: 1.0, 0.005: 10.9},
    "ring gossip": {0.0: 50.0, 0.005: 50.0},
    "random groups": {0.0: 6.1, 0.005: 6.3},
    "Moshpit": {0.0: 8.2, 0.005: 8.8},
}


def schedules(n: int, fail: float) -> dict[str, jdl.types.Schedule]:
    """The methods of the table, with failures."""
    everybody = Fixed(jdl.topology.complete(n).plan("groups"))
    return {
        "all-reduce": FailingGroups(everybody, fail, all_or_none=True),
        "ring gossip": Sleeping(Fixed.of(jdl.topology.ring(n)), fail),
        "random groups": FailingGroups(RandomGroups.for_nodes(n, degree=GROUP - 1), fail),
        "Moshpit": FailingGroups(Moshpit(n, side=GROUP), fail),
    }


@jax.jit
def iterations(talk: jdl.types.Schedule, start: jax.Array, keys: jax.Array) -> jax.Array:
    """The iterations until the variance is below EPS, i32[restarts], from `start: f[restarts, n]`."""

    def one(x: jax.Array, key: jax.Array) -> jax.Array:
        def going(carry):
            x, _, t = carry
            return (jnp.var(x) >= EPS) & (t < MOST)

        def averaged(carry):
            x, memory, t = carry
            plan, memory = talk(memory, t, jax.random.fold_in(key, t))
            after = mix(plan, x, x)
            return after if plan.active is None else jnp.where(plan.active, after, x), memory, t + 1

        begun = talk.init(jax.random.fold_in(key, MOST))
        return jax.lax.while_loop(going, averaged, (x, begun, jnp.int32(0)))[2]

    return jax.vmap(one)(start, keys)


def expected(n: int, fail: float) -> float:
    """The expected iterations of an all-reduce: the sum over t < MOST of the probability that t have failed."""
    return float(np.sum((1 - (1 - fail) ** n) ** np.arange(MOST)))


def table(n: int, fail: float, restarts: int = 10, seed: int = 0) -> list[dict[str, Any]]:
    """A row for each method."""
    with jax.enable_x64(True):
        start = jnp.asarray(np.random.default_rng(seed).standard_normal((restarts, n)))
        keys = jax.random.split(jax.random.key(seed), restarts)
        rows = []
        for name, talk in schedules(n, fail).items():
            took = np.asarray(iterations(talk, start, keys))
            published = PUBLISHED[name].get(fail) if n == 512 else None
            exact = expected(n, fail) if name == "all-reduce" else None
            row = {"method": name, "nodes": n, "failures": fail, "published": published, "ours": float(took.mean())}
            rows.append(row | {"error": float(took.std() / np.sqrt(restarts)), "expected": exact})
    return rows


def main(
    nodes: tuple[int, ...] = (512,),
    failures: tuple[float, ...] = (0.0, 0.005),
    restarts: int = 10,
    seed: int = 0,
    out: Path = Path("results/moshpit"),
) -> None:
    """Measure, print, and write.

    Args:
      nodes: numbers of nodes, at most 1024, the cells of the grid.
      failures: probabilities that a node fails in an iteration.
      restarts: over how many restarts the mean is taken.
      seed: the seed of values and failures.
      out: the directory of table.csv.
    """
    rows = [row for n in nodes for fail in failures for row in table(n, fail, restarts, seed)]
    print(f"{'nodes':>6s} {'failures':>9s}  {'method':14s} {'published':>10s} {'ours':>7s} {'+-':>5s} {'expected':>9s}")
    shown = lambda number: "" if number is None else f"{number:.1f}"
    for row in rows:
        numbers = f"{shown(row['published']):>10s} {row['ours']:7.1f} {row['error']:5.1f} {shown(row['expected']):>9s}"
        print(f"{row['nodes']:6d} {row['failures']:9g}  {row['method']:14s} {numbers}")
    out.mkdir(parents=True, exist_ok=True)
    with (out / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    print(f"files are in {out}", file=sys.stderr)


if __name__ == "__main__":
    tyro.cli(main)
