"""The ways in which the engine runs a simulation: a program written on the contract gives the same result in all.

A test of a program names a function `build(seed=0, **how)`, where `how` holds `mapping` and `devices` of
`jdl.simulation`, and is marked by `of`:

    @ways.of("delay")
    def test_in_all_ways(names):
        ways.check(build, names)
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl.engine import placement
from jdl.types import PyTree

# Set by tests/conftest.py and printed in the header of a run: fixed in CI, the date elsewhere.
SEED = int(os.environ.get("JDL_TEST_SEED", "0"))
ROUNDS = 4
CHUNK, DEVICES = 3, 8

Build = Callable[..., jdl.sim.Simulation]

# Eager, each of their operations would be a program of its own.
init, step, wires, evaluate = (jax.jit(f) for f in (jdl.sim.init, jdl.sim.step, jdl.sim.wires, jdl.sim.evaluate))
advance = jax.jit(lambda simulation, state, until: jdl.sim.advance(simulation, state, until)[0])


def state_after(simulation: jdl.sim.Simulation, rounds: int = ROUNDS) -> jdl.sim.RunState:
    """The state after some rounds; all simulations of one structure share a program."""
    return advance(simulation, init(simulation), jnp.int32(rounds))


def _close(a: PyTree, b: PyTree) -> None:
    for (path, x), y in zip(jax.tree_util.tree_flatten_with_path(a)[0], jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5, err_msg=jax.tree_util.keystr(path))


def resume(build: Build) -> None:
    """A state that went through NumPy after two rounds goes on to the same bits."""
    simulation = build()
    half = jax.tree.map(np.asarray, state_after(simulation, ROUNDS // 2))
    resumed, whole = advance(simulation, half, jnp.int32(ROUNDS)), state_after(simulation)
    for x, y in zip(jax.tree.leaves(resumed), jax.tree.leaves(whole), strict=True):
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()
    changed = [
        np.any(np.asarray(x) != np.asarray(y)) for x, y in zip(*map(jax.tree.leaves, (half, whole)), strict=True)
    ]
    assert any(changed[1:])  # more than the number of the round


def vmap(build: Build) -> None:
    """Two seeds at once are the two seeds one by one."""
    simulation, other = build(0), build(1)
    keys = jnp.stack([simulation.key, other.key])
    both = jax.jit(jax.vmap(lambda key: jdl.simulate(simulation.replace(key=key), ROUNDS, eval_every=ROUNDS)[0]))(keys)
    for i, key in enumerate(keys):
        _close(jax.tree.map(lambda x, i=i: x[i], both), state_after(simulation.replace(key=key)))


def chunk(build: Build) -> None:
    """Three nodes at a time are all nodes at once."""
    _close(state_after(build(mapping=CHUNK)), state_after(build(mapping="vmap")))


def loop(build: Build) -> None:
    """A Python loop over the nodes, for one round, is all nodes at once."""
    looped = build(mapping="loop")
    _close(jdl.sim.step(looped, jdl.sim.init(looped))[0], state_after(build(mapping="vmap"), 1))


def devices(build: Build) -> None:
    """Nodes divided over eight devices are nodes on one."""
    simulation, divided = build(), build(devices=DEVICES)
    mesh, begun = divided.placement.mesh, init(simulation)
    placed = jax.device_put(begun, placement.by_rows(begun, simulation.problem.n, mesh))
    many = advance(jax.device_put(divided, placement.everywhere(mesh)), placed, jnp.int32(ROUNDS))
    assert all(len(leaf.sharding.device_set) == DEVICES for leaf in jax.tree.leaves(many))
    _close(many, state_after(simulation))


WAYS = {way.__name__: way for way in (resume, vmap, chunk, loop, devices)}


def of(program: str):
    """Parametrize a test by names of ways: for a quarter of the programs, drawn by `SEED`, resumption and one more way.

    The other programs and ways are slow; `pytest -m slow tests/contract` runs them all.
    """
    number = SEED + zlib.crc32(program.encode())
    others = [name for name in WAYS if name != "resume"]
    drawn = others[number // 4 % len(others)]
    slow = pytest.mark.slow
    first = pytest.param(("resume", drawn), id=f"resume-{drawn}", marks=[] if number % 4 == 0 else [slow])
    rest = [pytest.param((name,), id=name, marks=slow) for name in others if name != drawn]
    return pytest.mark.parametrize("names", [first, *rest])


def check(build: Build, names: tuple[str, ...]) -> None:
    """Run the simulation in these ways."""
    for name in names:
        WAYS[name](build)
