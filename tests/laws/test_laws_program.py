"""Laws on programs: shapes, one trace, mappings, sharding, resumption. Run over every algorithm."""

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

import jdl
from jdl.engine import placement
from jdl.engine import sim as simulator

EVERY = pytest.mark.parametrize("name", cases.ALGORITHMS)
# How rows are mapped and placed is not the algorithms' business: some of them try each way, all in the slow suite.
SOME = pytest.mark.parametrize("name", cases.one_in(12, cases.ALGORITHMS))
OTHERS = pytest.mark.parametrize("name", cases.one_in(6, cases.ALGORITHMS, first=1))


def shapes(x):
    return jax.tree.map(lambda x: (x.shape, x.dtype), x)


@EVERY
def test_init_works_on_shapes(name):
    built = cases.build(name)
    abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), built)
    start = jax.ShapeDtypeStruct((cases.DIM,), jnp.float32)
    assert shapes(jax.eval_shape(simulator.init, abstract, start)) == shapes(cases.init(built, cases.starts(name)))


@EVERY
def test_a_round_keeps_structure_shape_and_dtype(name):
    built = cases.build(name)
    before = jax.eval_shape(simulator.init, built)
    after, _ = jax.eval_shape(simulator.step, built, before)
    assert jax.tree.structure(before) == jax.tree.structure(after)
    assert shapes(before) == shapes(after)
    assert all(leaf.shape[0] == cases.N for leaf in jax.tree.leaves(after.nodes))


@struct.dataclass
class Budgets(jdl.oracle.DataOracle):
    """Nodes have time for 0, 1 or 2 local steps, and so on."""

    def steps(self, data):
        return (data.id % 3).astype(jnp.int32)


STEPPING = [name for name in cases.ALGORITHMS if "local_steps" in cases.kind_of(name).__dataclass_fields__]


@pytest.mark.parametrize("name", STEPPING)
def test_budgets_of_local_steps_are_taken(name):
    with jax.enable_x64(True):  # where whole numbers are of two widths
        kind, talk = cases.kind_of(name), None if cases.has_server(name) else cases.dense(cases.network_of(name))
        built = jdl.simulation(cases.problem(), kind(local_steps=3), talk, oracle=Budgets())
        before = jax.eval_shape(simulator.init, built)
        assert shapes(jax.eval_shape(simulator.step, built, before)[0]) == shapes(before)


@EVERY
def test_two_rates_two_graphs_and_two_data_sets_are_one_trace(name):
    first = cases.build(name, lr=0.1)
    cases.run(first, 1)
    before = len(cases.traces)
    other = cases.run(
        cases.build(name, cases.network_of(name, seed=3), lr=1 / 16, data=cases.problem(seed=1), seed=5), 3
    )
    whole = cases.run(cases.build(name, lr=0), 3)
    assert len(cases.traces) == before
    assert np.all(np.isfinite(other)) and not np.allclose(other, whole)


@EVERY
def test_vmap_over_rates_is_one_trace_and_equals_the_loop(name):
    rates = jnp.linspace(0.01, 0.2, 4)
    built, start = cases.build(name), cases.starts(name)
    seen = []

    @jax.jit
    def sweep(rates):
        def one(lr):
            seen.append(lr)
            s = built.replace(algorithm=built.algorithm.replace(lr=lr))
            return simulator.models(s, simulator.advance(s, simulator.init(s, start), 5)[0])

        return jax.vmap(one)(rates)

    swept = sweep(rates)
    assert len(seen) == 1
    alone = [cases.run(built.replace(algorithm=built.algorithm.replace(lr=lr)), 5, start) for lr in rates]
    np.testing.assert_allclose(swept, np.stack(alone), rtol=2e-5, atol=2e-6)
    assert np.abs(swept[0] - swept[-1]).max() > 1e-2


@pytest.mark.parametrize("shape", ["dict", pytest.param("nested", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", cases.one_in(3, cases.law("array by array", cases.ALGORITHMS)))
def test_parameters_may_be_a_tree(name, shape):
    start = cases.starts(name)
    data = cases.TreeQuadratic(cases.problem(), shape)
    built = cases.build(name, data=data, plain=True)  # compressors look at an array at a time
    sim = cases.advance(built, cases.init(built, data.split(start)), jnp.int32(6))
    flat = data.join(cases.models(built, sim))
    np.testing.assert_allclose(flat, cases.run(cases.build(name, plain=True), 6, start), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("chunk", [3, pytest.param(11, marks=pytest.mark.slow)])
@OTHERS
def test_chunked_map_equals_vmap(name, chunk):
    data, start = cases.problem(noise=0.3), cases.starts(name)
    together = cases.run(cases.build(name, data=data), 4, start)
    chunked = cases.build(name, data=data, mapping=chunk)
    np.testing.assert_allclose(cases.run(chunked, 4, start), together, rtol=1e-5, atol=1e-6)


@OTHERS
def test_python_loop_equals_vmap(name):
    data, start = cases.problem(noise=0.3), cases.starts(name)
    together = cases.run(cases.build(name, data=data), 2, start)
    looped = cases.build(name, data=data, mapping="loop")
    with jax.disable_jit():
        sim = simulator.init(looped, start)
        for _ in range(2):
            sim, _ = simulator.step(looped, sim)
        alone = simulator.models(looped, sim)
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-6)


@SOME
def test_sharded_equals_unsharded(name):
    built, start = cases.build(name, data=cases.problem(noise=0.3)), cases.starts(name)
    begun = cases.init(built, start)
    one = cases.advance(built, begun, jnp.int32(6))
    mesh = placement.mesh_over(8)
    placed = jax.device_put(begun, placement.by_rows(begun, cases.N, mesh))
    everywhere = jax.device_put(built.replace(mesh=mesh), placement.everywhere(mesh))
    many = cases.advance(everywhere, placed, jnp.int32(6))
    assert all(len(leaf.sharding.device_set) == 8 for leaf in jax.tree.leaves(many))
    for leaf in jax.tree.leaves(many.nodes):
        assert not leaf.sharding.is_fully_replicated
    for a, b in zip(jax.tree.leaves(many), jax.tree.leaves(one), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@EVERY
def test_resumed_equals_uninterrupted_bit_for_bit(name):
    built = cases.build(name, data=cases.problem(noise=0.5))
    begun = cases.init(built, cases.starts(name))
    whole = cases.advance(built, begun, jnp.int32(20))
    stopped = cases.advance(built, begun, jnp.int32(7))
    stored = jax.tree.map(np.asarray, stopped)  # through the host, as a checkpoint goes
    resumed = cases.advance(built, jax.tree.map(jnp.asarray, stored), jnp.int32(20))
    assert int(stopped.t) == 7 and int(resumed.t) == 20
    assert cases.equal_bits(whole, resumed)
    assert not cases.equal_bits(whole, stopped)
