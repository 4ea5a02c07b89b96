"""The effective number of neighbours against gamma: theory, a simulation of its definition, and published numbers.

    python experiments/effective_neighbours.py [--nodes 32] [--out results/effective_neighbours]

Every round each node adds unit noise to its value and gossips, x <- W (sqrt(gamma) x + noise), in the simulator that
also trains models. Alone a node's variance settles at 1 / (1 - gamma); over a graph at n_W times less. Prints the
table of Vogels, Hendrikx, Jaggi, "Beyond spectral gap", NeurIPS 2022, beside ours; writes neighbours.csv and .png.
"""

from __future__ import annotations

import csv
import math
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from flax import struct

import jdl
from jdl.show.plots import COLOURS, STYLE
from jdl.theory import best_quadratic_rate
from jdl.topology import Topology, complete, hypercube, ring, star, torus, two_cliques, weighted
from jdl.topology.spectrum.neighbours import effective_neighbours
from jdl.types import number

GRAPHS = {
    "complete": complete,
    "hypercube": hypercube,
    "torus": torus,
    "two cliques": two_cliques,
    "ring": ring,
    "star": star,
}
# Of 32 nodes: n_W(0.951), and the best rate and learning rate on random quadratics with zeta = 50.
PUBLISHED_NODES, GAMMA, ZETA = 32, 0.951, 50
NEIGHBOURS = {"ring": 8.86, "torus": 20.64, "hypercube": 24.29, "complete": 32.0}
RATES = {"alone": (0.0200, 0.0200), "ring": (0.126, 0.092), "complete": (0.395, 0.393)}
LEAST_ROUNDS = 500  # to average over, where gamma is so small that they cost nothing


class State(NamedTuple):
    x: jax.Array  # f[d]
    sum: jax.Array  # f[d], of the squares of x since the start was forgotten


@struct.dataclass
class NoisyGossip:
    """x_i <- sum_j W_ij (sqrt(gamma) x_j + z_j), z_j ~ N(0, I); sums up the squares of x from round `start` on."""

    gamma: float = number(0.95, minimum=0, maximum=1)
    start: float = number(0.0, minimum=0)

    needs = frozenset({"peers", "row_stochastic"})
    phases = (("send", "recv"),)

    def init(self, params, node):
        return State(jnp.zeros_like(params), jnp.zeros_like(params))

    def send(self, state, node):
        noise = jax.random.normal(node.key, state.x.shape, state.x.dtype)
        return jnp.sqrt(self.gamma) * state.x + noise, state

    def recv(self, state, inbox, node):
        counts = (node.t.astype(inbox.dtype) >= self.start).astype(inbox.dtype)
        return State(inbox, state.sum + counts * inbox**2), {}

    def model(self, state):
        return state.x


def graph_of(name: str, nodes: int) -> Topology:
    """A graph with the weights of the paper, 1 / (1 + largest degree) on every link."""
    return weighted(GRAPHS[name](nodes), "max_degree")


def simulated(graph: Topology, gammas: np.ndarray, spans: int, dim: int, seed: int) -> list[float]:
    """n_W of each gamma, from the variance over `spans / (1 - gamma)` rounds or more, `dim` copies and all nodes."""
    simulation = jdl.simulation(jdl.problems.quadratic(nodes=graph.n, dim=dim), NoisyGossip(), graph)
    run = jax.jit(lambda simulation, until: jdl.sim.advance(simulation, jdl.sim.init(simulation), until)[0].nodes.sum)
    found = []
    for turn, gamma in enumerate(gammas):
        looks_back = 1 / (1 - gamma)
        start = math.ceil(6 * looks_back)  # by then the start is forgotten, to exp(-6)
        rounds = max(LEAST_ROUNDS, math.ceil(spans * looks_back))
        algorithm = NoisyGossip(jnp.asarray(gamma, float), jnp.asarray(start, float))
        one = simulation.replace(algorithm=algorithm, key=jax.random.key(1000 * seed + turn))
        found.append(looks_back * rounds / float(jnp.mean(run(one, start + rounds))))
    return found


def table(nodes: int) -> list[tuple[str, float, float]]:
    """A table of published numbers for 32 nodes, and those of jdl."""
    rows = []
    for name, published in NEIGHBOURS.items():
        rows.append((f"n_W({GAMMA}), {name}", published, effective_neighbours(graph_of(name, nodes), GAMMA).mean))
    for name, published in RATES.items():
        ours = best_quadratic_rate(ring(1) if name == "alone" else graph_of(name, nodes), ZETA)
        rows += [(f"best rate, {name}", published[0], ours.rate), (f"  learning rate, {name}", published[1], ours.lr)]
    return rows


def picture(curves: dict[str, dict[str, Any]], nodes: int, path: Path) -> None:
    """Draw theory as a line and the simulation as dots."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 5.5), dpi=130, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for colour, (name, curve) in zip(COLOURS, curves.items(), strict=False):
            axes.plot(1 / (1 - curve["fine"]), curve["theory"], color=colour, linewidth=2, label=name)
            axes.scatter(1 / (1 - curve["gammas"]), curve["simulated"], s=26, color=colour, zorder=3)
        axes.scatter([], [], s=26, color="black", label="simulated")
        axes.set(xscale="log", xlabel=r"rounds that a node looks back, $1 / (1 - \gamma)$", ylim=(0, 1.06 * nodes))
        axes.set_ylabel(rf"effective number of neighbours, $n_W(\gamma)$, of {nodes} nodes")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        figure.savefig(path)


def main(
    nodes: int = PUBLISHED_NODES,
    spans: int = 60,
    dim: int = 256,
    longest: float = 100.0,
    points: int = 7,
    seed: int = 0,
    out: Path = Path("results/effective_neighbours"),
) -> None:
    """Measure, print, and write.

    Args:
      nodes: the number of nodes of every graph, a power of two of at least 16; the published numbers are for 32.
      spans: the number of rounds over which a variance is averaged, in units of 1 / (1 - gamma).
      dim: the number of independent copies of the process.
      longest: the largest 1 / (1 - gamma) that is simulated.
      points: the number of gammas that are simulated.
      seed: the seed of the noise.
      out: the directory of neighbours.csv and neighbours.png.
    """
    begun = time.monotonic()
    if nodes == PUBLISHED_NODES:
        print(f"{'':28s} {'published':>10s} {'here':>10s} {'deviation':>10s}")
        for what, published, ours in table(nodes):
            print(f"{what:28s} {published:10.4g} {ours:10.4f} {ours / published - 1:+10.2%}")
        print()
    gammas, fine = 1 - 1 / np.geomspace(1, longest, points), 1 - 1 / np.geomspace(1, 10 * longest, 60)
    # A variance from independent values is off by sqrt(2 / their number); squares are forgotten over 2 spans.
    error, worst, curves = math.sqrt(4 / (spans * dim)), 0.0, {}
    print(f"{'n_W at 1 / (1 - gamma) =':28s} " + " ".join(f"{1 / (1 - gamma):8.3g}" for gamma in gammas))
    for turn, name in enumerate(GRAPHS, 1):
        print(f"\r{turn} of {len(GRAPHS)}: {name:20s}", end="", file=sys.stderr, flush=True)
        graph = graph_of(name, nodes)
        theory, exact = ([effective_neighbours(graph, float(g)).mean for g in some] for some in (fine, gammas))
        measured = np.array(simulated(graph, gammas, spans, dim, seed))
        curves[name] = {"gammas": gammas, "fine": fine, "theory": theory, "simulated": measured}
        off = float(np.max(np.abs(measured / exact - 1)))
        worst = max(worst, off)
        print("\r" + " " * 40 + "\r", end="", file=sys.stderr, flush=True)
        print(f"{name + ', theory':28s} " + " ".join(f"{one:8.3f}" for one in exact))
        print(
            f"{'  simulated':28s} " + " ".join(f"{one:8.3f}" for one in measured) + f"   within {off:.1%}", flush=True
        )
        curves[name]["exact"] = exact
    out.mkdir(parents=True, exist_ok=True)
    with (out / "neighbours.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["graph", "nodes", "gamma", "theory", "simulated"])
        for name, curve in curves.items():
            for values in zip(curve["gammas"], curve["exact"], curve["simulated"], strict=True):
                writer.writerow([name, nodes, *map(float, values)])
    picture(curves, nodes, out / "neighbours.png")
    print(f"simulation and theory differ by {worst:.1%} at most; a standard error is {error:.1%} at most")
    print(f"{time.monotonic() - begun:.0f} s; neighbours.csv and neighbours.png are in {out}", file=sys.stderr)


if __name__ == "__main__":
    tyro.cli(main)
