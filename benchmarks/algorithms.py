"""The time of a round of each algorithm beyond its gradients and exchanges, and of a server's round as n grows.

    python benchmarks/algorithms.py [--names dpsgd scaffold] [--out benchmarks/results/algorithms.json]

For every algorithm with its defaults, on 1,024 nodes with a 64-32-10 network and batches of 16 (random 4-regular graph,
a tree or random pairs where asked for; a server samples a quarter): the time of a round, over the time of as many
gradients and of the same exchanges measured alone. How many gradients a round takes is read off its program, the
multiply-adds of its matrix products over those of one gradient. A method that compresses by itself does what others
leave to the exchange: its compressor, on the same messages, counts there. The parts take turns, and the figure is the
median of their ratios, so that a machine whose speed drifts slows all of them. Worst first.

Beside it the floor: the same gradients, and the bytes that a round reads and writes at least, at the rate of a compiled
loop that increments all models. These bytes are the state of the rows that take part, in and out; of tables of past
gradients one row, in and out; every message once when it is written, and once for each row that reads it.

For servers: a round of 100 clients of 10,000 over one of 100 of 200, and the state that a run holds, in models.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax.extend.core import Jaxpr

import jdl
from jdl import checks, tree
from jdl import plan as plans
from jdl import sim as simulator
from jdl.command import catalogue
from jdl.data import Partition
from jdl.data.readers.embedded import digits
from jdl.engine import messages, nodes, phases, rounds
from jdl.engine.mapping import AT_ONCE
from jdl.models import MLP
from jdl.problems import Supervised
from jdl.types import PerLink, Wire

BATCH, EXAMPLES, NODES, CLIENTS = 16, 32, 1024, 100
PAIRWISE = ("gossip_diloco", "swarm_sgd")


def problem(n: int) -> Supervised:
    """Every node holds 32 examples, so that batches of 16 are drawn."""
    data = digits()
    rows = np.random.default_rng(0).integers(0, len(data.train_y), (n, EXAMPLES), dtype=np.int32)
    split = Partition(indices=rows, counts=np.full(n, EXAMPLES, np.int32))
    return Supervised.from_data(data, split, MLP(hidden=(32,), classes=10), batch_size=BATCH)


def build(name: str, n: int, clients: int) -> jdl.sim.Simulation:
    """Build the algorithm of this name on a topology that suits it, with a rate at which nothing diverges."""
    kind = catalogue.members("algorithms")[name]
    if "server" in kind().needs:
        talk = jdl.schedule.Sampling(n, clients)
    elif "tree" in kind().needs:
        talk = jdl.topology.tree(n)
    else:
        talk = jdl.schedule.Matching(n) if name in PAIRWISE else jdl.topology.random_regular(n, degree=4)
    return jdl.simulation(problem(n), kind(lr=1e-3), talk)


def multiply_adds(program: Jaxpr) -> int:
    """Count the multiply-adds of the matrix products of a program: bodies of scans as often as they run, and of several
    branches the largest."""
    total = 0
    for equation in program.eqns:
        inner = [getattr(value, "jaxpr", value) for value in equation.params.values()]
        inner = [multiply_adds(value) for value in inner if isinstance(value, Jaxpr)]
        if "branches" in equation.params:
            inner = [max(multiply_adds(branch.jaxpr) for branch in equation.params["branches"])]
        total += sum(inner) * equation.params.get("length", 1)
        shape = equation.invars[0].aval.shape if equation.invars else ()
        contracted = {"dense": [-1], "dense_gradient": [-2]}.get(equation.primitive.name, [])  # of jdl.models.layers
        if equation.primitive.name == "dot_general":
            contracted = equation.params["dimension_numbers"][0][0]
        if contracted:
            total += equation.outvars[0].aval.size * int(np.prod([shape[axis] for axis in contracted]))
    return total


def work_of(function: Callable[..., Any], *args: Any) -> int:
    """Count the multiply-adds of `function(*args)`."""
    return multiply_adds(jax.make_jaxpr(function)(*args).jaxpr)


class Alone:
    """The parts of a round of one algorithm, each as a function from rounds to seconds per round."""

    def __init__(self, simulation: jdl.sim.Simulation):
        self.simulation = simulation
        self.advance = jax.jit(lambda s, sim, k: simulator.advance(s, sim, sim.t + k)[0], donate_argnums=1)
        self.sim = self.advance(simulation, jax.jit(simulator.init)(simulation), 2)
        self.plan = jax.jit(rounds.plan_at)(simulation, self.sim)[0]
        self.rows = jax.jit(nodes.rows_of)(simulation, self.plan, self.sim)
        m = self.rows["id"].shape[0]
        one = simulation.problem.init(jax.random.key(0))
        self.models = jax.tree.map(lambda x: jnp.tile(x[None], (m,) + (1,) * x.ndim), one)
        self.descend = jax.jit(self._descend, donate_argnums=2)
        before = tree.take_rows(self.sim.nodes, self.plan.participants)
        self.messages = [
            messages.content_and_bits(jax.jit(send)(simulation, self.rows, before, self.sim.server)[0])[0]
            for send in phases.sends_of(simulation)
        ]
        self.exchanges = [jax.jit(self._exchange) for _ in self.messages]
        self.compress = jax.jit(self._compress) if "compressor" in simulation.algorithm.__dataclass_fields__ else None
        self.copied = jax.jit(self._copied, donate_argnums=0)
        self.models_moved = self._bytes_at_least() / self._bytes(self.models)
        plain = simulation.replace(placement=AT_ONCE)
        step, descent = work_of(simulator.step, plain, self.sim), work_of(self._descend, plain, self.rows, self.models)
        self.gradients = step / descent

    @staticmethod
    def _descend(s, rows, models):
        gradient = lambda s, row, x: nodes.node_of(s, row).grad(x)[0]
        grads = s.placement.over(gradient, "gradient")(s, rows, models)
        return jax.tree.map(lambda x, g: x - 1e-3 * g, models, grads)

    @staticmethod
    def _copied(models, times):
        return jax.lax.fori_loop(0, times, lambda _, x: jax.tree.map(lambda x: x + 1, x), models)

    @staticmethod
    def _bytes(arrays: Any) -> float:
        return float(sum(leaf.nbytes for leaf in jax.tree.leaves(arrays)))

    def _bytes_at_least(self) -> float:
        """The bytes that a round reads and writes at least, from the shapes of its state and messages."""
        m, nodes = plans.rows(self.plan), self.sim.nodes
        table = self._bytes(getattr(nodes, "table", ()))  # of GT-SAGA; a round reads and writes one part
        state = self._bytes(nodes) - table + table / getattr(self.simulation.algorithm, "parts", 1)
        state *= m / self.simulation.problem.n
        readers = 1.0 if self.simulation.has_server else 1 + float(jnp.mean(plans.degree(self.plan)))
        each = lambda part: isinstance(part, PerLink)
        parts = jax.tree.leaves(self.messages, is_leaf=each)
        passed = sum(self._bytes(part) * (2 if each(part) else 1 + readers) for part in parts)
        return 2 * (state + self._bytes(self.sim.exchange_state)) + passed

    @staticmethod
    def _exchange(s, link, plan, message):
        bits, origin = jnp.zeros(plans.rows(plan)), plans.ids(plan)
        wire = Wire(own=message, sent=message, bits=bits, plan=plan, origin=origin, roles=s.who)
        return s.exchange.apply(link, wire, s.key)[:2]

    @staticmethod
    def _compress(s, message):
        codec = s.algorithm.compressor
        one = lambda s, message: codec(codec.init(message), message, s.key)[0]
        return s.placement.over(one, "compress")(s, message)

    def round(self, times: int) -> float:
        start = time.perf_counter()
        self.sim = jax.block_until_ready(self.advance(self.simulation, self.sim, times))
        return (time.perf_counter() - start) / times

    def gradient(self, times: int) -> float:
        start = time.perf_counter()
        for _ in range(times):
            self.models = self.descend(self.simulation, self.rows, self.models)
        jax.block_until_ready(self.models)
        return (time.perf_counter() - start) / times

    def exchange(self, times: int) -> float:
        start = time.perf_counter()
        for phase, (apply, message) in enumerate(zip(self.exchanges, self.messages, strict=True)):
            if jax.tree.leaves(message):
                for _ in range(times):
                    out = apply(self.simulation, self.sim.exchange_state[phase], self.plan, message)
                    if self.compress is not None:
                        out = (out, self.compress(self.simulation, message))
                jax.block_until_ready(out)
        return (time.perf_counter() - start) / times

    def copy(self, times: int) -> float:
        """Seconds to read or write all models once."""
        start = time.perf_counter()
        self.models = jax.block_until_ready(self.copied(self.models, times))
        return (time.perf_counter() - start) / times / 2

    def ratio(self, times: int) -> tuple[float, float, float]:
        """A round's time over that of its parts, the share of exchanges in the latter, and its time over the floor."""
        parts, whole = (self.gradients * self.gradient(times), self.exchange(times)), self.round(times)
        floor = parts[0] + self.models_moved * self.copy(times)
        return whole / sum(parts), parts[1] / sum(parts), whole / floor


def of_its_parts(name: str, repeats: int, times: int) -> dict[str, float]:
    """Measure one algorithm."""
    alone = Alone(build(name, NODES, NODES // 4))
    alone.ratio(2)
    ratios = [alone.ratio(times) for _ in range(repeats)]
    return {
        "round_over_parts": statistics.median(ratio for ratio, _, _ in ratios),
        "share_of_exchanges": statistics.median(share for _, share, _ in ratios),
        "round_over_floor": statistics.median(over for _, _, over in ratios),
        "models_moved_at_least": round(alone.models_moved, 2),
        "gradients_a_round": round(alone.gradients, 2),
    }


def of_many_clients(name: str, repeats: int, times: int) -> dict[str, float]:
    """Measure a round of 100 of 10,000 clients against one of 100 of 200, and the size of its state in models."""
    sides = [Alone(build(name, n, CLIENTS)) for n in (10_000, 2 * CLIENTS)]
    model = sum(leaf.nbytes for leaf in jax.tree.leaves(sides[0].simulation.problem.init(jax.random.key(0))))
    state = sum(
        leaf.nbytes for leaf in jax.tree.leaves((sides[0].sim.nodes, sides[0].sim.server, sides[0].sim.exchange_state))
    )
    for side in sides:
        side.round(2)
    ratios = [sides[0].round(times) / sides[1].round(times) for _ in range(repeats)]
    return {"round_of_10000_over_200": statistics.median(ratios), "state_in_models": state / model}


def main(
    names: tuple[str, ...] = (),
    repeats: int = 5,
    times: int = 10,
    out: Path = Path("benchmarks/results/algorithms.json"),
) -> None:
    """Measure, print, and write the figures.

    Args:
      names: the algorithms; all by default.
      repeats: the number of turns of each part.
      times: the number of rounds in a turn.
      out: the JSON file to write.
    """
    known = catalogue.members("algorithms")
    chosen = [checks.known("algorithm", name, known) for name in names] or sorted(known)
    figures: dict[str, dict[str, float]] = {}
    for name in chosen:
        jax.clear_caches()  # a process may hold 65,530 mappings of memory, and each program takes some
        figures[name] = of_its_parts(name, repeats, times)
        print(name, {key: round(value, 2) for key, value in figures[name].items()}, flush=True)
    served = [name for name in chosen if "server" in known[name]().needs]
    for name in served:
        figures[name] |= of_many_clients(name, repeats, times)
        print(name, {key: round(value, 2) for key, value in figures[name].items()}, flush=True)
    worst_first = dict(sorted(figures.items(), key=lambda item: -item[1]["round_over_parts"]))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(worst_first, indent=2) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
