"""Laws of the engine: mappings, sharding, sweeps, sleepers. Executed for one method of each class, see `classes.py`."""

import contextlib

import bed as beds
import cases
import classes
import jax
import jax.numpy as jnp
import numpy as np
import plan_reading
import pytest
from cases import ALGORITHMS

import jdl
from jdl.engine import placement
from jdl.engine import sim as simulator
from jdl.engine.mapping import Placement


def sorts_of_rows(turn):
    """A representative of each sort of rows but one; another one for each turn, and every day."""
    return pytest.mark.parametrize("name", classes.one_of_each(ALGORITHMS, classes.of_rows, turn=turn))


def test_classes_tell_apart_what_the_engine_does():
    """Peers and servers, one exchange and two, every kind of message and none, nodes with and without a state."""
    found = classes.classes()
    assert sorted(name for names in found.values() for name in names) == sorted(ALGORITHMS)
    servers, kinds, exchanges, remember = (set(seen) for seen in zip(*found, strict=True))
    assert servers == remember == {True, False} and exchanges == {1, 2}
    assert kinds == {(), ("array",), ("sized",), ("per link",), ("per link", "sized"), ("each",), ("push",)}
    assert len(classes.representatives()) == len(found) <= 18


@sorts_of_rows(turn=0)
def test_vmap_over_rates_is_one_trace_and_equals_the_loop(name):
    bed, rates, seen = beds.bed(name), jnp.linspace(0.01, 0.2, 4), []

    @jax.jit
    def sweep(rates):
        def one(lr):
            seen.append(lr)
            s = bed.of().replace(algorithm=bed.of().algorithm.replace(lr=lr))
            return simulator.models(s, simulator.advance(s, simulator.init(s, bed.start), 5)[0])

        return jax.vmap(one)(rates)

    swept = sweep(rates)
    assert len(seen) == 1
    alone = [bed.run(5, lr=lr) for lr in rates]
    np.testing.assert_allclose(swept, np.stack(alone), rtol=2e-5, atol=2e-6)
    assert np.abs(swept[0] - swept[-1]).max() > 1e-2


# A norm, a sum or a compressor over parameters is the method's own, so more methods than one of a class are tried.
ARRAYS = cases.law("array by array", ALGORITHMS)


@pytest.mark.parametrize("shape", ["dict", pytest.param("nested", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", classes.one_of_each(ARRAYS, classes.of_rows, more=2, turn=1))
def test_parameters_may_be_a_tree(name, shape):
    bed = beds.bed(name, plain=True)  # compressors look at an array at a time
    data = cases.TreeQuadratic(bed.data, shape)
    models = cases.whole(cases.build(name, data=data, plain=True), data.split(bed.start), jnp.int32(6))
    np.testing.assert_allclose(data.join(models), bed.run(6), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("chunk", [3, pytest.param(11, marks=pytest.mark.slow)])
@sorts_of_rows(turn=1)
def test_chunked_map_equals_vmap(name, chunk):
    bed = beds.bed(name)
    chunked = cases.build(name, data=bed.noisy, mapping=chunk)
    np.testing.assert_allclose(
        cases.run(chunked, 4, bed.start), bed.run(4, data=bed.noisy), rtol=1e-5, atol=1e-6
    )  # fmt: skip


@jax.jit
def one_round(simulation, start):
    return simulator.models(simulation, simulator.step(simulation, simulator.init(simulation, start))[0])


@pytest.mark.parametrize("jit", [True, pytest.param(False, marks=pytest.mark.slow)])
@sorts_of_rows(turn=2)
def test_python_loop_equals_vmap(name, jit):
    # Uncompiled code rounds otherwise, and Adam divides by 1 - 0.999, which amplifies that.
    bed = beds.bed(name, plain=not jit)
    looped = cases.build(name, data=bed.noisy, mapping="loop", plain=not jit)
    with contextlib.nullcontext() if jit else jax.disable_jit():
        alone = one_round(looped, bed.start)
    np.testing.assert_allclose(alone, bed.run(1, data=bed.noisy), rtol=1e-5, atol=1e-6)


@sorts_of_rows(turn=0)
def test_sharded_equals_unsharded(name):
    bed = beds.bed(name)
    begun, mesh = bed.begun, placement.mesh_over(8)
    one, _ = cases.advance(bed.of(data=bed.noisy), begun, jnp.int32(6))
    placed = jax.device_put(begun, placement.by_rows(begun, cases.N, mesh))
    everywhere = jax.device_put(
        bed.of(data=bed.noisy).replace(placement=Placement("vmap", mesh)), placement.everywhere(mesh)
    )
    many, _ = cases.advance(everywhere, placed, jnp.int32(6))
    assert all(len(leaf.sharding.device_set) == 8 for leaf in jax.tree.leaves(many))
    for leaf in jax.tree.leaves(many.nodes):
        assert not leaf.sharding.is_fully_replicated
    for a, b in zip(jax.tree.leaves(many), jax.tree.leaves(one), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


# The simulator keeps a sleeper's state, whatever the method.
@pytest.mark.parametrize("name", classes.one_of_each(cases.ANY_TIME, classes.of_messages, turn=0))
def test_a_sleeping_node_is_unchanged_and_silent(name):
    W, start = cases.network_of(name), cases.starts(name)
    talk = jdl.schedule.Sleeping(cases.dense(W), probability=0.5)
    built = cases.build(name, talk=talk, data=cases.problem(noise=0.2))
    sim, slept = cases.init(built, start), 0
    models = start
    for t in range(6):
        plan = cases.plan_of(built, t)
        awake = np.asarray(plan.active)
        matrix = plan_reading.matrix(plan)
        assert np.array_equal(matrix[~awake], np.eye(cases.N)[~awake])
        assert np.array_equal(matrix[:, ~awake], np.eye(cases.N)[:, ~awake])
        new, new_models = cases.advance(built, sim, jnp.int32(t + 1))
        for old, now in zip(jax.tree.leaves(sim.nodes), jax.tree.leaves(new.nodes), strict=True):
            assert np.array_equal(old[~awake], now[~awake])
        assert np.array_equal(new.traffic.bits[:, ~awake], sim.traffic.bits[:, ~awake])
        moved = np.any(np.asarray(models) != np.asarray(new_models), axis=1)
        assert np.array_equal(moved, awake)
        sim, models, slept = new, new_models, slept + int((~awake).sum())
    assert 0 < slept < 6 * cases.N


WITH_MESSAGES = [name for name in cases.ANY_TIME if cases.mixes(name)]


@pytest.mark.parametrize("name", classes.one_of_each(WITH_MESSAGES, classes.of_messages, turn=1))
def test_sleepers_keep_what_a_network_with_memory_keeps_of_them(name):
    """What a compressor keeps of a sleeper must not move, or it would have sent what nobody heard."""
    talk = jdl.schedule.Sleeping(cases.dense(cases.network_of(name)), probability=0.5)
    built = cases.build(name, talk=talk, network=[jdl.compressors.ErrorFeedback(jdl.compressors.TopK(0.4))])
    sim, _ = cases.advance(built, cases.init(built, cases.starts(name)), jnp.int32(3))
    new, _ = cases.advance(built, sim, jnp.int32(4))
    awake = np.asarray(cases.plan_of(built, 3).active)
    assert 0 < awake.sum() < cases.N
    pairs = zip(*map(jax.tree.leaves, (sim.exchange_state, new.exchange_state)), strict=True)
    moved = [(np.any(old[~awake] != now[~awake]), np.any(old[awake] != now[awake])) for old, now in pairs]
    assert not any(asleep for asleep, _ in moved) and any(up for _, up in moved)
