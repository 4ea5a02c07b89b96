"""The cost of agreement over every topology: simulated rounds and messages until all nodes hold the same value.

    python experiments/topologies.py [--names ring torus base_k] [--nodes 64] [--out results/topologies]

Every node starts with random numbers and only gossips, in the simulator that also trains models, until the nodes'
distance from each other is 1e-6 of what it was. Prints a row for each topology; writes table.csv and messages.png.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import itertools
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from flax import struct

import jdl
from jdl import checks
from jdl.command import catalogue
from jdl.show.graph_report import graph_report
from jdl.show.plots import COLOURS, INK, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DIM = 16  # numbers that each node averages
SAME = 1e-9  # the mean has not moved but for rounding


@struct.dataclass
class Gossip:
    """An algorithm that only gossips: x_i <- sum_j W_ij x_j."""

    needs = frozenset({"peers", "row_stochastic"})
    phases = (("send", "recv"),)

    def init(self, params, node):
        return params

    def send(self, state, node):
        return state, state

    def recv(self, state, inbox, node):
        return inbox, {}

    def model(self, state):
        return state


@jax.jit
def agree(simulation: jdl.sim.Simulation, start: jax.Array, eps: float, most_rounds: int) -> tuple[jax.Array, ...]:
    """Gossip from `start: f[n, d]` until disagreement is `eps` of what it was.

    Returns the rounds, the messages of each node, what is left of disagreement, and how far the nodes' mean has moved,
    in units of the distance of one node from the mean at the start.
    """

    def spread(x):
        return jnp.sqrt(jnp.mean(jnp.square(x - jnp.mean(x, axis=0, keepdims=True))))

    def going(sim):
        return (spread(sim.nodes) > eps * spread(start)) & (sim.t < most_rounds)

    sim = jax.lax.while_loop(going, lambda sim: jdl.sim.step(simulation, sim)[0], jdl.sim.init(simulation, start))
    moved = jnp.sqrt(jnp.mean(jnp.square(jnp.mean(sim.nodes, axis=0) - jnp.mean(start, axis=0))))
    sent = sim.traffic.messages[0] - sim.traffic.messages[1]
    return sim.t, sent, spread(sim.nodes) / spread(start), moved / spread(start)


def built(name: str, nodes: int) -> tuple[Any, int]:
    """The topology with the number of nodes closest to `nodes` that it accepts."""
    for n in sorted(range(2, 2 * max(32, nodes) + 1), key=lambda n: (abs(n - nodes), -n)):
        with contextlib.suppress(checks.InputError):
            return catalogue.maker("topologies", name)(n=n), n
    raise checks.InputError(f"got {name} with about {nodes} nodes, which it refuses whatever n; try nodes=64")


def measured(name: str, kind: str, nodes: int, gamma: float, eps: float, most_rounds: int, seed: int) -> dict[str, Any]:
    """Compute one row of the table."""
    topology, n = built(name, nodes)
    with jax.enable_x64(True):
        simulation = jdl.simulation(jdl.problems.quadratic(nodes=n, dim=DIM), Gossip(), topology, seed=seed)
        start = jnp.asarray(np.random.default_rng(seed).standard_normal((n, DIM)))
        rounds, sent, left, moved = jax.device_get(agree(simulation, start, eps, most_rounds))
        report = graph_report(topology, gamma=gamma, eps=eps, rounds=50, seed=seed)
    done, rounds, sent = bool(left <= eps), int(rounds), float(sent.mean())
    return {
        "topology": name,
        "kind": kind,
        "nodes": n,
        "messages_per_node_and_round": sent / max(1, rounds),
        "lambda_2": report["lambda_2"],
        "measured_contraction_per_round": float(left) ** (1 / rounds) if rounds and left > 1e-14 else 0.0,
        "effective_neighbours": report["effective_neighbours_mean"],
        "rounds": rounds if done else None,
        "messages_per_node": sent if done else None,
        "disagreement_left": float(left),
        "mean_moved_by": float(moved),
    }


def line(row: dict[str, Any]) -> str:
    """Format a row for printing."""
    rounds = "never" if row["rounds"] is None else f"{row['rounds']:,}"
    sent = "" if row["messages_per_node"] is None else f"{row['messages_per_node']:,.1f}"
    moved = f"  on a value {row['mean_moved_by']:.2f} off the mean" if row["mean_moved_by"] > SAME else ""
    links, contraction = row["messages_per_node_and_round"], row["measured_contraction_per_round"]
    numbers = f"{links:9.2f} {row['lambda_2']:9.5f} {contraction:9.5f} {row['effective_neighbours']:11.2f}"
    return f"{row['topology']:21s} {row['nodes']:4d} {numbers} {rounds:>8s} {sent:>11s}{moved}"


def heading(gamma: float, eps: float) -> str:
    return (
        f"messages: of a node; contraction: of a round, as measured; neighbours: effective, gamma = {gamma:g}; "
        f"rounds and messages until disagreement is {eps:g} of what it was\n"
        f"{'topology':21s} {'n':>4s} {'messages':>9s} {'lambda_2':>9s} {'contract.':>9s} {'neighbours':>11s} "
        f"{'rounds':>8s} {'messages':>11s}"
    )


def picture(rows: list[dict[str, Any]], eps: float, path: Path) -> None:
    """Messages to agree against messages a round, both of a node; those at one place share a label."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogFormatter

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(12, 8), dpi=130, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        places: dict[tuple[float, float], list[str]] = {}  # three digits: closer points look like one
        for colour, kind in zip(COLOURS, dict.fromkeys(row["kind"] for row in rows), strict=False):
            here = [row for row in rows if row["kind"] == kind]
            x = [row["messages_per_node_and_round"] for row in here]
            y = [row["messages_per_node"] for row in here]
            faces = ["white" if row["mean_moved_by"] > SAME else colour for row in here]
            axes.scatter(x, y, s=36, color=faces, edgecolors=colour, linewidths=1.5, zorder=3)
            axes.scatter([], [], s=36, color=colour, label=kind)
            for row, *place in zip(here, x, y, strict=True):
                places.setdefault(tuple(float(f"{one:.3g}") for one in place), []).append(row["topology"])
        axes.set(xscale="log", yscale="log", xlabel="messages a node and round (its links, on average)")
        axes.set_ylabel(f"messages a node until disagreement is {eps:g} of what it was")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_formatter(LogFormatter())  # where there are few powers of ten
        axes.margins(0.12)
        if any(row["mean_moved_by"] > SAME for row in rows):
            axes.scatter([], [], s=36, color="white", edgecolors=INK, linewidths=1.5, label="agrees off the mean")
        axes.legend(loc="upper left", frameon=False)
        _labels(axes, places)
        figure.savefig(path)


def _labels(axes: Axes, places: dict[tuple[float, float], list[str]]) -> None:
    """Write a label beside every point, at the first place around it that hides neither a point nor another label."""
    from matplotlib.text import Text

    axes.figure.draw_without_rendering()
    renderer = axes.figure.canvas.get_renderer()
    points, taken = axes.transData.transform(list(places)), []
    angles = np.radians([0, 180, 30, -30, 150, 210, 60, -60, 90, -90])
    look = {"arrowstyle": "-", "color": "#b0b0b0", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3}
    for place, names in sorted(places.items(), key=lambda item: -len(item[1])):
        label = "\n".join(sorted(names))
        text = axes.annotate(
            label, place, (0, 0), textcoords="offset points", fontsize=8.5, va="center", arrowprops=look
        )
        for distance, angle in itertools.product(range(9, 150, 7), angles):
            across, up = np.cos(angle), np.sin(angle)
            text.set_position((distance * across, (distance + 4 * len(names)) * up))
            text.set_horizontalalignment("center" if abs(across) < 0.1 else "left" if across > 0 else "right")
            text.update_positions(renderer)
            box = Text.get_window_extent(text)  # of the words alone, without the line to the point
            inside = axes.bbox.contains(*box.min) and axes.bbox.contains(*box.max)
            if inside and not box.count_overlaps(taken) and not box.padded(3).count_contains(points):
                break
        taken.append(box.padded(1))


def main(
    names: tuple[str, ...] = (),
    nodes: int = 64,
    gamma: float = 0.95,
    eps: float = 1e-6,
    most_rounds: int = 50_000,
    seed: int = 0,
    out: Path = Path("results/topologies"),
) -> None:
    """Measure, print, and write.

    Args:
      names: as `jdl list` has them; all of them by default.
      nodes: the number of nodes; each topology gets the closest number that it accepts.
      gamma: decay for the effective number of neighbours.
      eps: the fraction of disagreement that may be left.
      most_rounds: the number of rounds after which a topology is given up.
      seed: the seed of the values to average, and of schedules.
      out: the directory of table.csv and messages.png.
    """
    kinds = {one.name: kind for kind, entries in catalogue.groups().items() for one in entries if "topologies" in kind}
    checks.whole("nodes", nodes, 2)
    chosen = [checks.known("topology", name, kinds) for name in names] or list(kinds)
    measure = functools.partial(measured, nodes=nodes, gamma=gamma, eps=eps, most_rounds=most_rounds, seed=seed)
    rows, begun = [], time.monotonic()
    print(heading(gamma, eps))
    for number, name in enumerate(chosen, 1):
        print(f"\r{number} of {len(chosen)}: {name:24s}", end="", file=sys.stderr, flush=True)
        rows.append(measure(name, kinds[name].removeprefix("topologies, ")))
        print("\r" + " " * 40 + "\r", end="", file=sys.stderr, flush=True)
        print(line(rows[-1]), flush=True)
    out.mkdir(parents=True, exist_ok=True)
    with (out / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    agreed = [row for row in rows if row["rounds"]]
    if agreed:
        picture(agreed, eps, out / "messages.png")
    print(f"{time.monotonic() - begun:.0f} s; files are in {out}", file=sys.stderr)


if __name__ == "__main__":
    tyro.cli(main)
