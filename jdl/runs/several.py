"""Several simulations that are driven as one: those of one program side by side, others in turn."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl import checks
from jdl.clock import Clock
from jdl.engine import sim as simulator
from jdl.engine.seeing import mean_of
from jdl.engine.sim import RunState, Simulation
from jdl.engine.state import program_key
from jdl.engine.xla import RUNS_ONCE
from jdl.runs.budget import Sample
from jdl.runs.driver import Reached
from jdl.runs.history import SHARED, Row
from jdl.runs.memory import free_bytes
from jdl.runs.pace import Due
from jdl.runs.planned import times_of
from jdl.runs.program import Program, compiled, evaluated, flag, program_of, row_of, stands_at
from jdl.types import PyTree

__all__ = ["InTurn", "SideBySide", "at_once", "blocks", "driven", "states_kept"]

# On a CPU, more rows than this side by side gain nothing but lose what the caches hold; see benchmarks/sweep.py.
ROWS = 512

# The axis of the simulations in each field of their states. They are all in the same round.
STATES = RunState(**{field.name: None if field.name == "t" else 0 for field in dataclasses.fields(RunState)})


def driven(
    simulations: Sequence[Simulation],
    params: PyTree | None = None,
    sample: Sample | None = None,
    most: int | None = None,
    width: int | None = None,
) -> InTurn:
    """Compile several simulations. Those of one program run side by side, as many as pay; the groups run in turn.

    Args:
      simulations: the composed simulations.
      params: the initial models of each of them, or None to draw them.
      sample: the nodes that are evaluated; None for all.
      most: the largest number of simulations side by side; None leaves it to their sizes.
      width: the number of simulations that a program runs side by side, also where there are fewer, so that calls with
        fewer of them share the program; by default as many as pay.

    Raises:
      InputError: if the programs do not fit the memory.
    """
    parts, order = [], []
    for block, some in blocks(simulations, most, width):
        order += block
        parts.append(
            Alone(program_of(some[0], params, sample))
            if len(some) == 1
            else SideBySide.of(some, len(block), params, sample)
        )
    found = InTurn(tuple(parts), tuple(int(place) for place in np.argsort(order)))
    checks.fits(found.needed, f"{len(simulations):,} runs of {simulations[0].problem.n:,} nodes", free_bytes())
    return found


def blocks(
    simulations: Sequence[Simulation], most: int | None = None, width: int | None = None
) -> list[tuple[list[int], list[Simulation]]]:
    """Group simulations into blocks that run side by side, each of one program.

    Args:
      simulations: the composed simulations.
      most: see `driven`.
      width: see `driven`.

    Returns:
      For each block the places of its simulations, and the simulations, the last one repeated to fill the block.
    """
    groups: dict[tuple, list[int]] = {}
    for index, simulation in enumerate(simulations):
        groups.setdefault(program_key(simulation), []).append(index)
    found = []
    for members in groups.values():
        size = width or at_once(simulations[members[0]], len(members), most)
        for start in range(0, len(members), size):
            block = members[start : start + size]
            some = [simulations[index] for index in block]
            found.append((block, some + some[-1:] * (size - len(some))))
    return found


def states_kept(simulations: Sequence[Simulation], read: Callable[[tuple], tuple]) -> list[RunState]:
    """The states of several simulations that are kept in a checkpoint. Nothing is compiled.

    Args:
      simulations: the composed simulations, as they were driven.
      read: reads a checkpoint, given the shapes of the states in it.
    """
    laid_out = blocks(simulations)
    states = {}
    for (block, some), state in zip(laid_out, read(tuple(_shapes(some) for _, some in laid_out)), strict=True):
        for place, index in enumerate(block):
            states[index] = state if len(some) == 1 else _one_of(state, place)
    return [states[index] for index in range(len(simulations))]


def _shapes(some: list[Simulation]) -> RunState:
    """The shapes of the states of simulations side by side, or of one alone."""
    if len(some) == 1:
        return jax.eval_shape(simulator.INIT, some[0], None)
    leaves, axes, structure = stacked(some)
    return jax.eval_shape(functools.partial(_begin, axes=axes, structure=structure), leaves, None)


def at_once(simulation: Simulation, count: int, most: int | None = None) -> int:
    """How many of `count` simulations of one program run side by side.

    A simulation over devices, or without compilation, runs alone.

    Args:
      simulation: one of them.
      count: their number.
      most: see `driven`.

    >>> import types
    >>> from jdl.engine.mapping import AT_ONCE
    >>> small = types.SimpleNamespace(placement=AT_ONCE, problem=types.SimpleNamespace(n=64))
    >>> [at_once(small, count) for count in (1, 5, 8, 9, 20)]
    [1, 5, 8, 5, 7]
    """
    if simulation.placement.mesh is not None or simulation.placement.mapping == "loop" or jax.config.jax_disable_jit:
        return 1
    most = max(1, min(count, ROWS // simulation.problem.n, most or count))
    return -(-count // -(-count // most))


def _chunk(
    leaves: tuple,
    state: RunState,
    until: jax.Array,
    evaluate: jax.Array,
    axes: tuple,
    structure: Any,
    sample: Sample | None,
) -> tuple[RunState, dict]:
    """The rounds of all simulations up to `until`, then the metrics of each, one simulation after another.

    A simulation in which a number is no longer finite goes on with the others; its status keeps the round. The loop
    ends when no simulation is left.
    """

    def one(leaves: tuple, state: RunState) -> tuple[RunState, dict]:
        state, reports = simulator.STEP(structure.unflatten(leaves), state)
        return state, mean_of(reports)

    step = jax.vmap(one, in_axes=(axes, STATES), out_axes=(STATES, 0))
    reports = jax.eval_shape(lambda: step(leaves, state)[1])
    blank = jax.tree.map(lambda x: jnp.full(x.shape, jnp.nan, x.dtype), reports)
    going = lambda carry: (carry[0].t < until) & jnp.any(carry[0].status < 0)
    state, info = jax.lax.while_loop(going, lambda carry: step(leaves, carry[0]), (state, blank))

    def measure(nodes: int | None = None) -> dict:
        def one(several: tuple) -> dict:
            varying, state = several
            varying = iter(varying)
            own = (leaf if axis is None else next(varying) for leaf, axis in zip(leaves, axes, strict=True))
            return simulator.evaluate(structure.unflatten(own), state.replace(t=t), nodes)

        t = state.t
        varying = [leaf for leaf, axis in zip(leaves, axes, strict=True) if axis is not None]
        return jax.lax.map(one, (varying, state.replace(t=())))

    return state, evaluated(measure, info, evaluate, sample, structure.unflatten(leaves).problem.n)


CHUNK = jax.jit(_chunk, donate_argnums=1, static_argnums=(4, 5, 6))


def _begin(leaves: tuple, params: PyTree | None, axes: tuple, structure: Any) -> RunState:
    init = lambda leaves: simulator.INIT(structure.unflatten(leaves), params)
    return jax.vmap(init, in_axes=(axes,), out_axes=STATES)(leaves)


BEGIN = jax.jit(_begin, static_argnums=(2, 3), compiler_options=RUNS_ONCE)


@dataclasses.dataclass(frozen=True)
class SideBySide:
    """Simulations of one structure and of equal shapes in one program; see `jdl.runs.driver.Driven`.

    What is the same in all of them, such as a data set, is held once.

    Attributes:
      leaves: the leaves of the simulations: one for all, or stacked `[S, ...]`.
      axes: for each leaf None or 0.
      structure: the structure of one simulation.
      count: the number of simulations that are asked for; the last one may be repeated to fill the program.
      params: the initial models of each, or None to draw them.
      shapes: the shapes of the states, stacked.
      chunk: the compiled program.
      sample: the nodes that are evaluated; None for all.
      needed: the bytes that the program needs beside its arguments.
      n: the number of nodes of each.
    """

    leaves: tuple
    axes: tuple
    structure: Any
    count: int
    params: PyTree | None
    shapes: RunState
    chunk: Callable
    sample: Sample | None = None
    needed: int = 0
    n: int = 1

    @classmethod
    def of(cls, simulations: Sequence[Simulation], count: int, params: PyTree | None, sample: Sample | None):
        """Stack and compile them; `count` is the number of those that are asked for."""
        leaves, axes, structure = stacked(simulations)
        shapes = jax.eval_shape(functools.partial(_begin, axes=axes, structure=structure), leaves, params)
        scalars = jax.ShapeDtypeStruct((), jnp.int32), jax.ShapeDtypeStruct((), flag(0, sample).dtype)
        chunk, needed = compiled(CHUNK, leaves, shapes, *scalars, axes, structure, sample)
        n = simulations[0].problem.n
        return cls(leaves, axes, structure, count, params, shapes, chunk, sample, needed, n)

    def begin(self, state: RunState | None) -> Reached:
        """Go to the start, or to the states of a checkpoint."""
        if state is None:
            state = BEGIN(self.leaves, self.params, self.axes, self.structure)
        return stands_at(jax.block_until_ready(jax.tree.map(jnp.asarray, state)))

    def advance(self, reached: Reached, until: int, evaluate: Due) -> Reached:
        """Simulate rounds up to `until`, or until no simulation is left whose numbers are finite."""
        state, metrics = self.chunk(self.leaves, reached.state, np.int32(until), flag(evaluate, self.sample))
        return stands_at(state, metrics if evaluate else None)

    def row(self, reached: Reached) -> Row:
        """The metrics of the simulations, arrays [S], or [S, n] of numbers of every node."""
        schedule = self.structure.unflatten(self.leaves).schedule
        row = row_of(reached, self.n, self.clock(), times_of(schedule))
        return {name: value if name in SHARED else np.asarray(value)[: self.count] for name, value in row.items()}

    def clock(self) -> Clock | None:
        """The clocks of all simulations as one whose numbers are stacked, `[S]` and `[S, 1]` or `[S, n]`; or None."""
        clock, axes = (self.structure.unflatten(x).clock for x in (self.leaves, self.axes))
        if clock is None:
            return None
        size = self.shapes.status.shape[0]
        spread = lambda x, axis: np.broadcast_to(x, (size, *np.shape(x)[axis is not None :]))
        watts, per_bit = spread(clock.watts, axes.watts), spread(clock.joules_per_bit, axes.joules_per_bit)
        return clock.replace(watts=watts.reshape(size, -1), joules_per_bit=per_bit.reshape(size, -1))

    def states(self, state: RunState) -> list[RunState]:
        """The state of each simulation."""
        return [_one_of(state, index) for index in range(self.count)]

    def state_of(self, states: Sequence[RunState]) -> RunState:
        """The inverse of `states`."""
        size = self.shapes.status.shape[0]
        several = [state.replace(t=()) for state in [*states, *[states[-1]] * (size - len(states))]]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *several).replace(t=states[0].t)


@dataclasses.dataclass(frozen=True)
class Alone:
    """A simulation that has a program for itself, among several; see `jdl.runs.driver.Driven`.

    Attributes:
      program: the simulation.
    """

    program: Program

    @property
    def shapes(self) -> RunState:
        """The shapes of the state."""
        return self.program.shapes

    def begin(self, state: RunState | None) -> Reached:
        """Go to the start, or to the state of a checkpoint."""
        return self.program.begin(state)

    def advance(self, reached: Reached, until: int, evaluate: Due) -> Reached:
        """Simulate rounds up to `until`."""
        return self.program.advance(reached, until, evaluate)

    def row(self, reached: Reached) -> Row:
        """The metrics, arrays [1] or [1, n]."""
        row = self.program.row(reached)
        return {name: value if name in SHARED else np.asarray(value)[None] for name, value in row.items()}

    def states(self, state: RunState) -> list[RunState]:
        """The state."""
        return [state]

    def state_of(self, states: Sequence[RunState]) -> RunState:
        """The inverse of `states`."""
        return states[0]

    @property
    def count(self) -> int:
        """The number of simulations."""
        return 1

    @property
    def needed(self) -> int:
        """The bytes that the program needs beside its arguments."""
        return self.program.needed


@dataclasses.dataclass(frozen=True)
class InTurn:
    """Several that are driven, one after another up to each stop; see `jdl.runs.driver.Driven`.

    Attributes:
      parts: what is driven: one simulation each, or several side by side.
      places: for each simulation, in the order asked for, its place among those of all parts.
    """

    parts: tuple[Alone | SideBySide, ...]
    places: tuple[int, ...]

    @property
    def shapes(self) -> tuple:
        """The shapes of the states of all parts."""
        return tuple(part.shapes for part in self.parts)

    @property
    def needed(self) -> int:
        """The bytes that a run holds at most: the states of all parts, and what the program of one needs beside it."""
        states = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(self.shapes))
        return states + max(part.needed for part in self.parts)

    def begin(self, state: tuple | None) -> Reached:
        """Go to the start, or to the states of a checkpoint."""
        states = (None,) * len(self.parts) if state is None else state
        return _together([part.begin(own) for part, own in zip(self.parts, states, strict=True)])

    def advance(self, reached: Reached, until: int, evaluate: Due) -> Reached:
        """Simulate rounds of each part."""
        parts = zip(self.parts, reached.state, strict=True)
        return _together([part.advance(stands_at(state), until, evaluate) for part, state in parts])

    def row(self, reached: Reached) -> Row:
        """The metrics of all simulations, arrays [S]; NaN of those whose numbers are no longer finite."""
        rows = []
        for part, state, metrics in zip(self.parts, reached.state, reached.metrics, strict=True):
            row = part.row(Reached(state, reached.t, metrics=metrics))
            ended = np.atleast_1d(jax.device_get(state.status)) >= 0
            rows.append({name: value if name in SHARED else _without(ended, value) for name, value in row.items()})
        join = lambda name: np.concatenate([row[name] for row in rows])[list(self.places)]
        return {name: value if name in SHARED else join(name) for name, value in rows[0].items()}

    def status(self, state: tuple) -> np.ndarray:
        """i32[S], the round in which each simulation diverged, or -1."""
        parts = zip(self.parts, state, strict=True)
        found = [np.atleast_1d(jax.device_get(own.status))[: part.count] for part, own in parts]
        return np.concatenate(found)[list(self.places)]

    def states(self, state: tuple) -> list[RunState]:
        """The state of each simulation, in the order asked for."""
        parts = zip(self.parts, state, strict=True)
        found = [one for part, own in parts for one in part.states(own)]
        return [found[place] for place in self.places]


def stacked(simulations: Sequence[Simulation]) -> tuple[tuple, tuple, Any]:
    """Stack simulations of one program: a leaf that is the same in all is kept once.

    Returns:
      The leaves; for each leaf its axis, 0, or None if it is kept once; and the structure of one simulation.
    """
    structure = jax.tree.structure(simulations[0])
    columns = list(zip(*(jax.tree.leaves(simulation) for simulation in simulations), strict=True))
    axes = tuple(None if _equal(column) else 0 for column in columns)
    differ = iter(_stack([column for column, axis in zip(columns, axes, strict=True) if axis is not None]))
    leaves = tuple(column[0] if axis is None else next(differ) for column, axis in zip(columns, axes, strict=True))
    return leaves, axes, structure


def _equal(column: Sequence[Any]) -> bool:
    """Whether a leaf is the same in all simulations. Keys always count as different, so that there is one that is."""
    first, *others = column
    if jnp.issubdtype(first.dtype, jax.dtypes.prng_key):
        return False
    return all(other is first or np.array_equal(other, first) for other in others)


def _without(ended: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The numbers of simulations, f[S] or f[S, n], with NaN for those that have ended."""
    value = np.array(value, float)
    value[ended[: len(value)]] = np.nan
    return value


def _together(reached: list[Reached]) -> Reached:
    t, halted = max(one.t for one in reached), all(one.halted for one in reached)
    metrics = tuple(one.metrics for one in reached)
    return Reached(tuple(one.state for one in reached), t, halted, None if metrics[0] is None else metrics)


# Eager, each shape of a leaf would be a program of its own, here and in `_stack`.
@jax.jit
def _one_of(state: RunState, index: int) -> RunState:
    """The state of one of several simulations."""
    return jax.tree.map(lambda x: x[index], state.replace(t=())).replace(t=state.t)


@jax.jit
def _stack(columns: Sequence[Sequence[Any]]) -> list[jax.Array]:
    """The leaves of several trees, each stacked."""
    return [jnp.stack(column) for column in columns]
