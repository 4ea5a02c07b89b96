"""A simulation that a driver can drive: the compiled program of some rounds and of the metrics after them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding

from jdl import checks
from jdl.engine import sim as simulator
from jdl.engine.metrics import COLUMNS, EVALUATED, PER_NODE
from jdl.engine.placement import by_rows, everywhere
from jdl.engine.sim import RunState, Simulation
from jdl.engine.totals import exact
from jdl.engine.xla import RUNS_ONCE
from jdl.runs.budget import Sample
from jdl.runs.driver import Reached
from jdl.runs.history import Row
from jdl.runs.memory import free_bytes, return_freed
from jdl.runs.pace import Due
from jdl.runs.planned import times_of
from jdl.runs.timed import columns
from jdl.types import PyTree

__all__ = ["Program", "compiled", "compiled_chunk", "evaluated", "flag", "program_of", "row_of", "stands_at"]


def _chunk(
    simulation: Simulation, sim: RunState, until: jax.Array, evaluate: jax.Array, sample: Sample | None = None
) -> tuple[RunState, dict]:
    """Run the rounds up to `until`, then compute the metrics if `evaluate`; one program serves every number of rounds.

    The metrics are zeros where they are not computed. With a sample, `evaluate` is one of `jdl.runs.pace.Due`.
    """
    sim, info = simulator.advance(simulation, sim, until, halt=True)
    measure = functools.partial(simulator.evaluate, simulation, sim)
    return sim, evaluated(lambda nodes=None: measure(nodes=nodes), info, evaluate, sample, simulation.problem.n)


def evaluated(
    measure: Callable[..., dict], info: dict, evaluate: jax.Array, sample: Sample | None, n: int
) -> dict[str, jax.Array]:
    """The metrics, and what was reported in the last round, as a part of the program.

    Args:
      measure: computes the metrics of a number of nodes, or of all.
      info: what was reported.
      evaluate: whether to compute them; with a sample, one of `jdl.runs.pace.Due`.
      sample: the nodes that are evaluated; None for all.
      n: the number of nodes.
    """
    blank = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(measure))
    if sample is None:
        return simulator.with_reports(jax.lax.cond(evaluate, measure, lambda: blank), info)
    of = lambda nodes: {**measure(nodes), EVALUATED: jnp.int32(nodes or n)}
    ways = [lambda: {**blank, EVALUATED: jnp.int32(0)}, lambda: of(sample.nodes)]
    ways += [lambda: of(None)] * sample.all_at_end
    return simulator.with_reports(jax.lax.switch(jnp.minimum(evaluate, len(ways) - 1), ways), info)


# One function for all runs of a process, so that a second run of the same shapes is not traced again.
CHUNK = jax.jit(_chunk, donate_argnums=1, static_argnums=4)
BEGIN = jax.jit(simulator.INIT, compiler_options=RUNS_ONCE)


def compiled_chunk(simulation: Simulation, shapes: RunState, sample: Sample | None = None) -> tuple[Callable, int]:
    """Compile the program of a chunk of rounds.

    Args:
      simulation: the composed simulation.
      shapes: the shapes of its state.
      sample: the nodes that are evaluated; None for all.

    Returns:
      The program `(simulation, state, until, evaluate) -> (state, metrics)`, and the bytes that it needs beside its
      arguments. Without compilation (`mapping="loop"`, or JAX's own switch) it is a Python function that needs 0.
    """
    mapping, mesh = simulation.placement.mapping, simulation.placement.mesh
    if mapping == "loop" or jax.config.jax_disable_jit:
        return functools.partial(_chunk, sample=sample), 0
    scalars = jax.ShapeDtypeStruct((), jnp.int32), jax.ShapeDtypeStruct((), flag(0, sample).dtype)
    chunk = CHUNK
    if mesh is not None:
        places, copies = by_rows(shapes, simulation.problem.n, mesh), everywhere(mesh)
        where = {"in_shardings": (copies, places, copies, copies), "out_shardings": (places, copies)}
        chunk = jax.jit(_chunk, donate_argnums=1, static_argnums=4, **where)
    made, needed = compiled(chunk, simulation, shapes, *scalars, sample)
    sharers = mesh.size if mesh is not None and jax.default_backend() == "cpu" else 1  # devices that share one memory
    return made, sharers * needed


def compiled(chunk: Any, *args: Any) -> tuple[Callable, int]:
    """Compile a program for arguments or their shapes.

    Returns:
      The program, which takes the arguments that are not static, and the bytes that it needs beside them.
    """
    made = chunk.lower(*args).compile()
    return_freed()
    memory = made.memory_analysis()
    return made, memory.temp_size_in_bytes + memory.output_size_in_bytes if memory else 0


def flag(evaluate: int, sample: Sample | None) -> np.generic:
    """What tells a program which metrics to compute."""
    return np.bool_(evaluate) if sample is None else np.int32(evaluate)


@dataclasses.dataclass(frozen=True)
class Program:
    """One simulation, to be driven; see `jdl.runs.driver.Driven`.

    Attributes:
      simulation: what is simulated, on the devices that share it.
      params: the initial models, or None to draw them.
      shapes: the shapes of the state.
      chunk: see `compiled_chunk`.
      sample: the nodes that are evaluated; None for all.
      needed: the bytes that the program needs beside its arguments.
    """

    simulation: Simulation
    params: PyTree | None
    shapes: RunState
    chunk: Callable
    sample: Sample | None = None
    needed: int = 0

    def begin(self, state: RunState | None) -> Reached:
        """Go to the start, or to the state of a checkpoint, with each array where the program needs it."""
        mesh = self.simulation.placement.mesh
        places = None if mesh is None else by_rows(self.shapes, self.simulation.problem.n, mesh)
        if state is not None:
            state = jax.tree.map(jnp.asarray, state) if mesh is None else _placed(state, places)
        else:
            init = BEGIN if mesh is None else jax.jit(simulator.INIT, out_shardings=places, compiler_options=RUNS_ONCE)
            state = init(self.simulation, self.params)
        return stands_at(jax.block_until_ready(state))

    def advance(self, reached: Reached, until: int, evaluate: Due) -> Reached:
        """Simulate rounds up to `until`, or to the first in which a model is no longer finite."""
        state, metrics = self.chunk(self.simulation, reached.state, np.int32(until), flag(evaluate, self.sample))
        return stands_at(state, metrics if evaluate else None)

    def row(self, reached: Reached) -> Row:
        """The traffic since the start, and the metrics."""
        s = self.simulation
        return row_of(reached, s.problem.n, s.clock, times_of(s.schedule))


def row_of(reached: Reached, n: int, clock: Any = None, planned: Mapping[str, Any] | None = None) -> Row:
    """The traffic since the start and the metrics, on the host: numbers, or arrays of several simulations.

    Traffic is summed in float64, in which the sum is exact. `megabytes` is what a node has sent in the mean, and with a
    server its share of what the server has.

    Args:
      reached: where the simulations stand.
      n: the number of nodes.
      clock: the clock of the simulation, or of several, stacked; None without one.
      planned: what a schedule that was planned in time knows, see `jdl.runs.planned.times_of`; None for others.
    """
    traffic, metrics = jax.device_get((reached.state.traffic, reached.metrics))
    totals = {name: exact(getattr(traffic, name)) for name in ("bits", "messages")}
    row = {f"{name}_sent": _on_host(np.sum(total, axis=-1)) for name, total in totals.items()}
    row["megabytes"] = row["bits_sent"] / 8e6 / n
    timed = columns(clock, reached.state, totals["bits"], planned)
    row |= {name: _on_host(value) for name, value in timed.items()}
    of_nodes = f"{PER_NODE}bits"
    if of_nodes in metrics:  # where there is a server, its traffic comes last
        metrics[of_nodes] = totals["bits"][..., : metrics[of_nodes].shape[-1]]
    if EVALUATED in metrics:
        row[EVALUATED] = int(metrics.pop(EVALUATED))
    names = [*(name for name in COLUMNS if name in metrics), *(name for name in metrics if name not in COLUMNS)]
    return row | {name: _on_host(metrics[name]) for name in names}


def program_of(simulation: Simulation, params: PyTree | None = None, sample: Sample | None = None) -> Program:
    """Compile a simulation.

    Args:
      simulation: the composed simulation.
      params: the initial models, or None to draw them.
      sample: the nodes that are evaluated; None for all.

    Raises:
      InputError: if the program does not fit the memory.
    """
    shapes = jax.eval_shape(simulator.INIT, simulation, params)
    chunk, needed = compiled_chunk(simulation, shapes, sample)
    checks.fits(needed, f"{simulation.problem.n:,} nodes", free_bytes())
    mesh = simulation.placement.mesh
    if mesh is not None:
        simulation, params = _placed((simulation, params), everywhere(mesh))
    return Program(simulation, params, shapes, chunk, sample, needed)


def _placed(tree: PyTree, places: PyTree) -> PyTree:
    """Put arrays on devices, of which each process has a part of its own where several simulate together.

    Args:
      tree: arrays of this process, the same in all processes.
      places: where each of them goes, or one place for all.
    """

    def leaf(place: Sharding, x: jax.Array) -> jax.Array:
        if place.is_fully_addressable:
            return jax.device_put(x, place)
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(leaf(place, jax.random.key_data(x)), impl=jax.random.key_impl(x))
        return jax.device_put(np.asarray(x), place)  # JAX puts an array of one device nowhere else

    return jax.tree.map(lambda place, part: jax.tree.map(lambda x: leaf(place, x), part), places, tree)


def stands_at(state: RunState, metrics: dict[str, jax.Array] | None = None) -> Reached:
    """Where a simulation stands, or several side by side, which are halted when all of them are."""
    t, status = jax.device_get((state.t, state.status))
    return Reached(state, int(t), bool(np.all(status >= 0)), metrics)


def _on_host(value: Any) -> float | np.ndarray:
    return float(value) if np.ndim(value) == 0 else np.asarray(value)
