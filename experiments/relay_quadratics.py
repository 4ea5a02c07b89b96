"""The rounds to the optimum of random quadratics, at a rate tuned for each draw: the table of the RelaySGD paper.

    python experiments/relay_quadratics.py [--nodes 6 12 24 48] [--seeds 10] [--out results/relay]

Prints and writes table.csv: for each method and n, the median over seeds of the rounds until f(mean model) - f* < 1e-6,
beside the published number: with the rate that the published search settles on, and with the best rate, which may take
fewer. Rates at which the error rises on its way do not count, there as here.

References: Vogels, He, Koloskova, Lin, Karimireddy, Stich, Jaggi 2021, RelaySum for Decentralized Deep Learning on
Heterogeneous Data, figure 2; numbers from the authors' published runs.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import jdl
from jdl import topology
from jdl.algorithms import D2, DPSGD, GradientTracking
from jdl.checks import InputError
from jdl.runs.tune import tune

DIM, TARGET = 10, 1e-6
SINGULAR_VALUES = np.linspace(0.5, 1, DIM)


class Case(NamedTuple):
    """A row of the table: a method on a graph, how heterogeneous and how far from the start, and what was published.

    published: n -> rounds. A run may take two and a half times that. first_rate: where the published search begins, if
    it was for the fewest rounds; D-SGD's was for the error at which a rate stalls.
    """

    name: str
    algorithm: object
    graph: object
    heterogeneity: float
    distance: float
    published: dict[int, int]
    first_rate: float | None


# D-SGD alone depends on the heterogeneity; its rows were published with another distance of the start.
CASES = (
    Case("all-reduce", DPSGD(), topology.complete, 1.0, 100.0, {6: 9, 12: 7, 24: 7, 48: 6}, 200),
    Case("D2, ring", D2(), topology.ring, 1.0, 100.0, {6: 19, 12: 45, 24: 73, 48: 216}, 20),
    Case("tracking, ring", GradientTracking(), topology.ring, 1.0, 100.0, {6: 49, 12: 197, 24: 715, 48: 2673}, 20),
    Case("D-SGD, ring", DPSGD(), topology.ring, 0.01, 10.0, {4: 125, 16: 838}, None),
    Case("D-SGD, ring", DPSGD(), topology.ring, 0.0, 10.0, {4: 9, 16: 8}, None),
)


def problem(nodes: int, heterogeneity: float, distance: float, seed: int) -> jdl.problems.Quadratic:
    """f_i(x) = ||S_i x - s_i||^2 / 2, S_i of the singular values above and random rotations, x* at `distance` from 0.

    Every node's own optimum is off by a random vector of one common scale, which sets mean ||grad f_i(x*)||^2.
    """
    rng = np.random.default_rng([seed, nodes])
    U = np.linalg.qr(rng.standard_normal((nodes, DIM, DIM)))[0]
    A = (U * SINGULAR_VALUES**2) @ U.swapaxes(1, 2)
    offset = rng.standard_normal((nodes, DIM))
    b = np.einsum("nij,nj->ni", A, offset)
    b -= A @ np.linalg.solve(A.mean(0), b.mean(0))  # the common optimum is at zero
    b *= np.sqrt(heterogeneity / np.mean(np.sum(b**2, axis=1)))  # the gradients there are -b
    optimum = rng.standard_normal(DIM)
    b += A @ (distance * optimum / np.linalg.norm(optimum))
    return jdl.problems.Quadratic(A=jnp.asarray(A), b=jnp.asarray(b), noise=jnp.zeros(()))


def falls_to_target(history: dict[str, jax.Array]) -> jax.Array:
    """The first round at which the error is below target; infinite if none is, or if it rises before."""
    error = 2 * history["suboptimality"]  # the published objective has no factor 1/2
    below = error < TARGET
    rises = jnp.concatenate([jnp.zeros(1, bool), error[1:] > error[:-1]])
    first = jnp.argmax(below)
    spoilt = jnp.any(rises & (jnp.arange(error.size) <= first))
    return jnp.where(jnp.any(below) & ~spoilt, history["round"][first].astype(error.dtype), jnp.inf)


def published_search(fall: Callable[[float], float], first: float) -> float:
    """The fewest rounds that the authors' own search would find: `fall` of a rate is its rounds, or infinite.

    From a first rate they halve until the error falls to the target, and then bisect between half of that rate and the
    last one that failed, always upward unless that fails. It stops early, and mostly above the fewest rounds possible.
    """
    low, high, rate, best = None, first, first, np.inf
    for _ in range(30):
        if low is not None:
            if high - low <= 1e-4:
                break
            rate = (low + high) / 2
        found = fall(rate)
        if np.isinf(found):
            high = rate if low is None else max(low, rate)
            rate /= 2
        elif found < best:
            rate /= 2
        else:
            low, high = min(rate, high), min(4 * rate, high)
        best = min(best, found)
    return best


def rounds(case: Case, nodes: int, seed: int) -> tuple[float, float]:
    """Rounds of the best rate for one draw of the quadratics, and of the rate that the published search finds."""
    simulation = jdl.simulation(
        problem(nodes, case.heterogeneity, case.distance, seed), case.algorithm, case.graph(nodes)
    )
    values, most = np.geomspace(2.0**-9, 2.0**1.5, 22), 20 + int(2.5 * case.published[nodes])
    search = functools.partial(tune, simulation, most, score=falls_to_target, eval_every=1, params=np.zeros(DIM))

    def fall(rate: float) -> float:
        try:
            return search(values=[rate]).score
        except InputError:
            return np.inf

    best = search(values=values, refinements=2, at_once=values.size).score
    return best, best if case.first_rate is None else published_search(fall, case.first_rate)


def table(nodes: tuple[int, ...], seeds: int) -> list[dict[str, object]]:
    """Compute a row for each case and n: medians over seeds, and the ratio to the published numbers."""
    rows = []
    with jax.enable_x64(True):
        for case, n in ((each, n) for each in CASES for n in each.published if n in nodes):
            best, searched = np.median([rounds(case, n, seed) for seed in range(seeds)], axis=0)
            published = case.published[n]
            row = {"method": case.name, "heterogeneity": case.heterogeneity, "nodes": n, "published": published}
            rows.append(row | {"rounds": searched, "ratio": searched / published, "rounds_of_best_rate": best})
            print(
                "{method:26} zeta^2={heterogeneity:<5g} n={nodes:<3} published {published:5}  ours {rounds:7g}  ratio "
                "{ratio:.2f}  best rate {rounds_of_best_rate:7g}".format(**rows[-1]),
                flush=True,
            )
    return rows


def main(
    nodes: tuple[int, ...] = (4, 6, 12, 16, 24, 48),
    seeds: int = 10,
    out: Path = Path("results/relay"),
) -> None:
    """Compute the table.

    Args:
      nodes: the numbers of nodes, among the published ones.
      seeds: the number of draws of the quadratics, of which the median is taken.
      out: the directory of table.csv.
    """
    rows = table(nodes, seeds)
    out.mkdir(parents=True, exist_ok=True)
    with (out / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    tyro.cli(main)
