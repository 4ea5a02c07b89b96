"""What is compiled for exact prediction: rounds of a simulation in double precision, and their derivatives."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np

from jdl.engine import sim as simulator
from jdl.engine.mapping import AT_ONCE
from jdl.engine.rounds import step
from jdl.engine.sim import RunState, Simulation
from jdl.engine.xla import RUNS_ONCE
from jdl.rng import key_of
from jdl.theory.linear.noise import noise_shapes, with_noise
from jdl.theory.linear.vector import Packing
from jdl.types import Key, Problem, PyTree

__all__ = ["doubled", "first_models", "in_double", "law_arrays", "probe", "runs", "starts", "values"]


@contextmanager
def in_double() -> Iterator[None]:
    """Compute in double precision, and with the types that NumPy would choose."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        yield


def first_models(s: Simulation) -> PyTree:
    """The first model that the seed of a simulation draws, the one of single precision also in double precision."""
    with jax.enable_x64(False):
        problem = jax.tree.map(lambda x: _cast(x, jnp.float32), s.problem)
        return jax.device_get(_drawn(problem, s.key))


@functools.partial(jax.jit, compiler_options=RUNS_ONCE)
def _drawn(problem: Problem, key: Key) -> PyTree:
    return problem.init(key_of(key, "init", 0))


def doubled(simulation: Simulation) -> Simulation:
    """The simulation with its numbers in double precision, all nodes computed at once."""
    return jax.tree.map(lambda x: _cast(x, jnp.float64), simulation.replace(placement=AT_ONCE))


def _cast(x: jax.Array, dtype: jnp.dtype) -> jax.Array:
    return jnp.asarray(x, dtype) if jnp.issubdtype(jnp.result_type(x), jnp.floating) else x


def starts(model: PyTree, runs: int) -> PyTree:
    """Random first models, one for each run."""
    random = np.random.default_rng(0)
    return jax.tree.map(lambda x: random.normal(size=(runs, *x.shape)), model)


@functools.partial(jax.jit, static_argnums=3, compiler_options=RUNS_ONCE)
def runs(s: Simulation, keys: Key, starts: PyTree, rounds: int) -> RunState:
    """The states of runs, leaves `[run, round, ...]`, of rounds 0 to `rounds`."""

    def run(key, start):
        of_run = s.replace(key=key)
        first = simulator.init(of_run, start)

        def body(state, _):
            after = step(of_run, state)[0]
            return after, after

        later = jax.lax.scan(body, first, None, length=rounds)[1]
        return jax.tree.map(lambda x, rest: jnp.concatenate([x[None], rest]), first, later)

    return jax.vmap(run)(keys, starts)


def _round(s: Simulation, packing: Packing, at: RunState, key: Key, x: jax.Array, noise: list[PyTree]) -> jax.Array:
    """The vector after a round that begins with the vector x, and whatever else the state `at` holds."""
    noisy = with_noise(s.replace(key=key), noise)
    return packing.vector(step(noisy, packing.state(x, at))[0])


def _models(s: Simulation, packing: Packing, at: RunState, x: jax.Array) -> jax.Array:
    leaves = jax.tree.leaves(simulator.models(s, packing.state(x, at)))
    rows = leaves[0].shape[0]
    return jnp.concatenate([leaf.reshape(rows, -1) for leaf in leaves], axis=1).reshape(-1)


def _silent(s: Simulation) -> list[PyTree]:
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), noise_shapes(s))


@functools.partial(jax.jit, static_argnums=1, compiler_options=RUNS_ONCE)
def probe(s: Simulation, packing: Packing, known: RunState, x: jax.Array, keys: Key) -> jax.Array:
    """What a round of each number makes of one vector under each key, f[round, key, D + P]."""

    def at_round(at):
        after = jax.vmap(lambda key: _round(s, packing, at, key, x, _silent(s)))(keys)
        models = _models(s, packing, at, x)
        return jnp.concatenate([after, jnp.broadcast_to(models, (len(keys), *models.shape))], axis=1)

    return jax.lax.map(at_round, known)


@functools.partial(jax.jit, static_argnums=1, compiler_options=RUNS_ONCE)
def law_arrays(s: Simulation, packing: Packing, at: RunState, x: jax.Array, keys: Key) -> tuple[jax.Array, ...]:
    """The fields of `Law`."""
    silent = _silent(s)
    flat, back = jax.flatten_util.ravel_pytree(silent)

    def of_key(key):
        f = lambda x, z: _round(s, packing, at, key, x, back(z))
        value, push = jax.linearize(f, x, flat)
        A = jax.vmap(lambda e: push(e, jnp.zeros_like(flat)), out_axes=1)(jnp.eye(x.size))
        if flat.size:
            B = jax.vmap(lambda e: push(jnp.zeros_like(x), e), out_axes=1)(jnp.eye(flat.size, dtype=flat.dtype))
            Q = jnp.matmul(B, B.T)
        else:
            Q = jnp.zeros_like(A)
        return A, value - jnp.matmul(A, x), Q

    def body(total, key):
        A, b, Q = of_key(key)
        return total + Q, (A, b)

    Q, (A, b) = jax.lax.scan(body, jnp.zeros((x.size, x.size)), keys)
    models = functools.partial(_models, s, packing, at)
    M = jax.jacfwd(models)(x)
    return A, b, Q / len(keys), M, models(x) - jnp.matmul(M, x)


@functools.partial(jax.jit, static_argnums=1, compiler_options=RUNS_ONCE)
def values(s: Simulation, packing: Packing, at: RunState, x: jax.Array, key: Key) -> jax.Array:
    """The vector after a round, and the models before it."""
    return jnp.concatenate([_round(s, packing, at, key, x, _silent(s)), _models(s, packing, at, x)])
