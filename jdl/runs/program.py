"""The compiled program of a run: some rounds, and the metrics after them."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jdl.engine import sim as simulator
from jdl.engine.placement import by_rows, everywhere
from jdl.engine.sim import RunState, Simulation

__all__ = ["compiled_chunk"]


def _chunk(simulation: Simulation, sim: RunState, until: jax.Array, evaluate: jax.Array) -> tuple[RunState, dict]:
    """Run the rounds up to `until`, then compute the metrics if `evaluate`; one program serves every number of rounds.

    The metrics are NaN where they are not computed.
    """
    sim, info = simulator.advance(simulation, sim, until, halt=True)
    measure = functools.partial(simulator.evaluate, simulation, sim)
    blank = jax.tree.map(lambda x: jnp.full(x.shape, jnp.nan, x.dtype), jax.eval_shape(measure))
    return sim, {**jax.lax.cond(evaluate, measure, lambda: blank), **info}


# One function for all runs of a process, so that a second run of the same shapes is not traced again.
CHUNK = jax.jit(_chunk, donate_argnums=1)


def compiled_chunk(simulation: Simulation, shapes: RunState) -> tuple[Callable, int]:
    """Compile the program of a chunk of rounds.

    Args:
      simulation: the composed simulation.
      shapes: the shapes of its state.

    Returns:
      The program `(simulation, state, until, evaluate) -> (state, metrics)`, and the bytes that it needs beside its
      arguments. Without compilation (`mapping="loop"`, or JAX's own switch) it is a Python function that needs 0.
    """
    if simulation.mapping == "loop" or jax.config.jax_disable_jit:
        return _chunk, 0
    scalars = jax.ShapeDtypeStruct((), jnp.int32), jax.ShapeDtypeStruct((), jnp.bool_)
    chunk, mesh = CHUNK, simulation.mesh
    if mesh is not None:
        places, copies = by_rows(shapes, simulation.problem.n, mesh), everywhere(mesh)
        where = {"in_shardings": (copies, places, copies, copies), "out_shardings": (places, copies)}
        chunk = jax.jit(_chunk, donate_argnums=1, **where)
    compiled = chunk.lower(simulation, shapes, *scalars).compile()
    memory = compiled.memory_analysis()
    sharers = mesh.size if mesh is not None and jax.default_backend() == "cpu" else 1  # devices that share one memory
    return compiled, sharers * (memory.temp_size_in_bytes + memory.output_size_in_bytes) if memory else 0
