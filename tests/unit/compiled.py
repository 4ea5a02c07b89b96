"""Compiled pieces of a simulation that tests share: eager, each operation would be a program of its own."""

import jax

from jdl import sim

init = jax.jit(sim.init)
step = jax.jit(sim.step)
advance = jax.jit(sim.advance, static_argnames="halt")


@jax.jit
def after(simulation, rounds, start=None):
    """The state and what was reported last, so many rounds after a start."""
    return sim.advance(simulation, sim.init(simulation, start), rounds)
