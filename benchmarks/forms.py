"""What every form of a plan costs in a compiled loop of rounds, and whether "auto" takes the cheapest.

    python benchmarks/forms.py [--only NAME ...] [--out benchmarks/results/forms.json]

A round of the loop makes a message from the models, stores it as the engine does (`xla.written_once`), and mixes it.
The models are real parameter trees, and the state is donated, so that buffers are reused as in a run. All forms of a
point take turns in one process. `ratio` is the median time of the form that "auto" takes over that of the best form.
Schedules that draw a plan in every round are measured in the form in which they draw it, and turned into others.

Points are added to those of the file, so that a few can be measured anew: `--only 2nn` takes those with this in their
name. `--turns 0` measures nothing, and compares the times in the file with the rule of today.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import networkx
import numpy as np
import tyro

import jdl
from jdl import plan as plans
from jdl import schedule
from jdl.engine import xla
from jdl.exchange.mixing import mix
from jdl.schedule.wrapping import matrix
from jdl.topology import Topology, from_graph, grouped
from jdl.topology.forms import choose
from jdl.types import Edges, Groups, Plan, Schedule, Slots

# The shapes of one model's arrays.
MODELS = {
    "logistic": [(64, 10), (10,)],
    "digits": [(64, 32), (32,), (32, 10), (10,)],
    "lenet": [(5, 5, 3, 6), (6,), (5, 5, 6, 16), (16,), (400, 120), (120,), (120, 84), (84,), (84, 10), (10,)],
    "2nn": [(784, 200), (200,), (200, 200), (200,), (200, 10), (10,)],
    "5m": [(1024, 2048), (2048,), (2048, 1400), (1400,)],
}
SCALE = 1 - 2**-20  # any number that XLA does not simplify away
SECONDS = 0.006  # of one turn, at least
ROUNDS = 12  # of one turn, at least: each call pages in its temporary memory, which can cost as much as a round
MOST_MULTIPLY_ADDS = 5e9  # of a dense product that is measured
MOST_READS = 2e9  # numbers that slots read in a round that is measured

MAKERS = {
    "regular": lambda n, k: jdl.topology.random_regular(n, k),
    "erdos_renyi": lambda n, k: from_graph(networkx.gnp_random_graph(n, k / (n - 1), seed=1)),
    "barabasi_albert": lambda n, k: jdl.topology.barabasi_albert(n, k),
    "cliques": lambda n, k: grouped("cliques", np.random.default_rng(0).permutation(n) // (k + 1)),
    "star": lambda n, _: jdl.topology.star(n),
    "ring": lambda n, _: jdl.topology.ring(n),
    "exponential": lambda n, _: jdl.topology.exponential(n),
    "complete": lambda n, _: jdl.topology.complete(n),
}

# What draws a plan in every round.
SCHEDULES = {
    "one-peer exponential cycle": lambda n: schedule.Cyclic.of(jdl.topology.one_peer_exponential(n)),
    "matchings": lambda n: schedule.Matching(n),
    "random groups of 4": lambda n: schedule.RandomGroups.for_nodes(n, degree=3),
    "random groups of 32": lambda n: schedule.RandomGroups.for_nodes(n, degree=31),
    "epidemic, degree 4": lambda n: schedule.Epidemic.for_nodes(n, degree=4),
    "epidemic local, degree 4": lambda n: schedule.EpidemicLocal(n, degree=4),
}

# The model, the numbers of nodes, and the graphs with their degrees.
GRID = [
    ("digits", 8, [("regular", (2, 4)), ("complete", (7,)), ("star", (7,))]),
    ("digits", 16, [("regular", (4, 8, 12)), ("complete", (15,)), ("exponential", (4,)), ("erdos_renyi", (8,))]),
    ("digits", 64, [("regular", (2, 4, 8, 16, 32, 48)), ("complete", (63,)), ("cliques", (1, 3, 7, 15))]),
    ("digits", 64, [("ring", (2,)), ("star", (63,)), ("erdos_renyi", (12, 32)), ("barabasi_albert", (4,))]),
    ("digits", 200, [("regular", (4, 16, 32, 50, 100)), ("complete", (199,)), ("exponential", (8,))]),
    ("digits", 256, [("regular", (4, 32, 64, 128)), ("star", (255,)), ("barabasi_albert", (2,)), ("cliques", (3, 31))]),
    ("digits", 1024, [("regular", (2, 4, 8, 16, 32, 64, 128)), ("complete", (1023,)), ("cliques", (1, 3, 7, 31))]),
    ("digits", 1024, [("star", (1023,)), ("barabasi_albert", (2, 8)), ("ring", (2,)), ("exponential", (10,))]),
    ("digits", 4096, [("regular", (4, 32)), ("barabasi_albert", (2,)), ("complete", (4095,))]),
    ("digits", 16384, [("regular", (4, 8)), ("ring", (2,)), ("star", (16383,))]),
    ("logistic", 16, [("regular", (4, 8)), ("complete", (15,))]),
    ("logistic", 100, [("regular", (4, 25, 50)), ("complete", (99,))]),
    ("logistic", 1024, [("regular", (4, 32)), ("barabasi_albert", (2,))]),
    ("logistic", 16384, [("regular", (4, 16)), ("complete", (16383,))]),
    ("lenet", 16, [("regular", (4, 8)), ("complete", (15,))]),
    ("lenet", 64, [("regular", (4, 16, 32)), ("complete", (63,)), ("star", (63,)), ("cliques", (7,))]),
    ("lenet", 256, [("regular", (4, 32)), ("barabasi_albert", (2,))]),
    ("lenet", 1024, [("regular", (4,)), ("ring", (2,))]),
    ("2nn", 8, [("regular", (4,)), ("complete", (7,))]),
    ("2nn", 16, [("regular", (2, 4, 8, 12)), ("complete", (15,)), ("star", (15,)), ("ring", (2,))]),
    ("2nn", 100, [("regular", (4, 10, 25, 50)), ("complete", (99,)), ("star", (99,)), ("exponential", (7,))]),
    ("2nn", 256, [("regular", (4,)), ("barabasi_albert", (2,))]),
    ("5m", 8, [("regular", (4,)), ("complete", (7,))]),
    ("5m", 16, [("regular", (4, 8)), ("ring", (2,))]),
]  # fmt: skip
POINTS = {
    f"{model} n={n} {graph} {degree}": (model, n, graph, degree)
    for model, n, graphs in GRID for graph, degrees in graphs for degree in degrees
}  # fmt: skip
POINTS |= {f"digits n={n}: {name}": ("digits", n, name, 0) for n in (64, 1024) for name in SCHEDULES}


def size_of(name: str) -> int:
    """The number of parameters of one model."""
    return sum(math.prod(shape) for shape in MODELS[name])


def models(name: str, n: int) -> list[jax.Array]:
    """The arrays of n models."""
    keys = jax.random.split(jax.random.key(0), len(MODELS[name]))
    draw = jax.jit(
        lambda keys: [jax.random.normal(key, (n, *shape)) for key, shape in zip(keys, MODELS[name], strict=True)]
    )
    return draw(keys)


def applicable(graph: Topology, numbers: int) -> dict[str, tuple]:
    """A schedule of every form that fits a graph and does not take too long."""
    n, most, mean = graph.n, int(graph.degree.max()), float(graph.degree.mean())
    fits = {
        "circulant": graph.shifts is not None and n * most * numbers < MOST_READS,
        "slots": n * most * numbers < MOST_READS and most <= 256,
        "dense": n * n * numbers < MOST_MULTIPLY_ADDS,
        "groups": graph.groups is not None,
        "hubs": most > mean,
        "edges": mean <= 8 and n in (64, 1024),
    }
    return {form: (schedule.Fixed(graph.plan(form)), as_it_is) for form, fit in fits.items() if fit}


def as_it_is(plan: Plan) -> Plan:
    """The plan in the form in which it is drawn."""
    return plan


def listed(plan: Plan) -> Plan:
    """The same links as a list."""
    links = plans.one_by_one(plan).links
    receivers = plans.receivers(links)
    links = Edges(*(x.ravel() for x in (links.weights, links.used, plans.senders(links), receivers)))
    return plan.replace(links=links)


def redrawn(drawn: Schedule) -> dict[str, tuple]:
    """A schedule that draws its plan in every round, in the form that it takes, and turned into others."""
    ways = {"as drawn": as_it_is, "slots": plans.one_by_one, "edges": listed, "dense": matrix}
    links = jax.eval_shape(lambda: drawn((), jnp.int32(0), jax.random.key(0))[0]).links
    taken = {Groups: ("as drawn", "slots", "dense"), Slots: ("as drawn", "edges", "dense")}
    return {way: (drawn, ways[way]) for way in taken.get(type(links), ("as drawn", "dense"))}


def compiled(drawn: Schedule, turn_into: Callable, state: list[jax.Array], mixes: bool = True) -> Callable:
    """(schedule, models, rounds) -> models, where a round stores a message and, if asked, mixes it."""

    def rounds(drawn, state, times):
        def body(t, x):
            message = xla.written_once(t, [SCALE * leaf for leaf in x])
            if not mixes:
                return message
            plan = turn_into(drawn((), t, jax.random.fold_in(jax.random.key(0), t))[0])
            return mix(plan, message, message)

        return jax.lax.fori_loop(jnp.int32(0), times, body, state)

    return jax.jit(rounds, donate_argnums=1).lower(drawn, state, jnp.int32(1)).compile()


def measure(forms: dict[str, tuple], state: list[jax.Array], turns: int) -> dict[str, float]:
    """Microseconds of a round in every form, and of the message alone: medians over turns."""
    programs = {form: (compiled(*form_of, state), form_of[0]) for form, form_of in forms.items()}
    anyone = next(iter(forms.values()))
    programs["message"] = compiled(*anyone, state, mixes=False), anyone[0]

    def seconds(form, times):
        nonlocal state
        program, drawn = programs[form]
        start = time.perf_counter()
        state = jax.block_until_ready(program(drawn, state, jnp.int32(times)))
        return (time.perf_counter() - start) / times

    times = {}
    for form in programs:
        seconds(form, 1)
        few = max(1, int(SECONDS / seconds(form, 2)))
        times[form] = max(ROUNDS, int(SECONDS / seconds(form, few)))
    found = {form: [] for form in programs}
    for turn in range(turns):
        for form in sorted(programs, reverse=turn % 2 == 1):
            found[form].append(seconds(form, times[form]))
    return {form: round(1e6 * statistics.median(seconds), 1) for form, seconds in found.items()}


def judged(found: dict[str, float], model: str, n: int, graph: str, degree: int) -> dict:
    """The figures of one point: microseconds of every form, the form that "auto" takes, and the best."""
    forms = {form: micro for form, micro in found.items() if form != "message"}
    best = min(forms, key=forms.get)
    taken = "as drawn"
    if graph in MAKERS:
        one = MAKERS[graph](n, degree)
        taken = choose(one.degree, one.shifts, one.groups is not None, size_of(model))
    # A form that was not measured since it takes far too long would be a failure of the rule.
    ratio = round(forms[taken] / forms[best], 3) if taken in forms else math.inf
    return {"microseconds": found, "auto": taken, "best": best, "ratio": ratio}


def main(out: Path = Path("benchmarks/results/forms.json"), only: tuple[str, ...] = (), turns: int = 9) -> None:
    """Measure, print, and write the figures.

    Args:
      out: the JSON file to write, whose other points are kept.
      only: parts of the names of the points to measure; all by default.
      turns: the number of turns of each form; 0 compares the times of the file with today's rule.
    """
    figures = json.loads(out.read_text()) if out.exists() else {"points": {}}
    figures["machine"] = f"{os.cpu_count()} cores, {platform.machine()}, jax {jax.__version__}"
    points = figures["points"]
    for name, (model, n, graph, degree) in POINTS.items():
        if (only and not any(part in name for part in only)) or (not turns and name not in points):
            continue
        if turns:
            drawn = graph in SCHEDULES
            forms = redrawn(SCHEDULES[graph](n)) if drawn else applicable(MAKERS[graph](n, degree), size_of(model))
            found = measure(forms, models(model, n), turns)
        else:
            found = points[name]["microseconds"]
        points[name] = judged(found, model, n, graph, degree)
        times = " ".join(f"{form} {micro:.0f}" for form, micro in found.items())
        print("{:36s} {auto:9s} {ratio:5.2f} of {best:9s} |".format(name, **points[name]), times, flush=True)
    figures["points"] = {name: points[name] for name in POINTS if name in points}
    ratios = {name: point["ratio"] for name, point in points.items() if point["auto"] != "as drawn"}
    figures["above_1.15"] = {name: ratio for name, ratio in ratios.items() if ratio > 1.15}
    print(f"{len(ratios)} points, above 1.15 x the best form: {figures['above_1.15']}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
