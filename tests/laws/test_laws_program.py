"""Laws on the programs of every algorithm: shapes, one trace, parameters as a tree, budgets, seeds, resumption."""

import bed as beds
import cases
import classes
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

import jdl
from jdl.engine import sim as simulator

LAWS = cases.Laws()
EVERY = LAWS.over(cases.ALGORITHMS)


@pytest.mark.parametrize("name", classes.in_turn(cases.ALGORITHMS))
def test_laws_of_programs(name):
    LAWS.check(beds.bed(name))


def shapes(x):
    return jax.tree.map(lambda x: (x.shape, x.dtype), x)


@EVERY
def init_works_on_shapes_and_one_start_has_the_shapes_of_many(bed):
    abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), bed.simulation)
    start = jax.ShapeDtypeStruct((cases.DIM,), jnp.float32)
    assert shapes(jax.eval_shape(cases.init, abstract, start)) == shapes(bed.begun)


@EVERY
def a_round_keeps_structure_shape_and_dtype(bed):
    before = jax.eval_shape(simulator.init, bed.simulation)
    after, _ = jax.eval_shape(simulator.step, bed.simulation, before)
    assert jax.tree.structure(before) == jax.tree.structure(after) == jax.tree.structure(bed.end)
    assert shapes(before) == shapes(after) == shapes(bed.end)
    assert all(leaf.shape[0] == cases.N for leaf in jax.tree.leaves(after.nodes))


@EVERY
def a_tree_of_parameters_fits(bed):
    """A method that adds or scales its parameters as if they were one array fails while this is traced."""
    data = cases.TreeQuadratic(cases.problem(), "dict")
    built = cases.build(bed.name, data=data)
    models = jax.eval_shape(simulator.models, built, jax.eval_shape(simulator.init, built))
    rows = 1 if bed.server and not hasattr(built.algorithm, "personal") else cases.N
    assert shapes(models) == shapes(data.split(jnp.zeros((rows, cases.DIM))))


@struct.dataclass
class Budgets(jdl.oracle.DataOracle):
    """Nodes have time for 0, 1 or 2 local steps, and so on."""

    def steps(self, data):
        return (data.id % 3).astype(jnp.int32)


@LAWS.over(cases.STEPPING)
def budgets_of_local_steps_are_taken(bed):
    with jax.enable_x64(True):  # where whole numbers are of two widths
        kind, talk = cases.kind_of(bed.name), None if bed.server else cases.dense(cases.network_of(bed.name))
        built = jdl.simulation(cases.problem(), kind(local_steps=3), talk, oracle=Budgets())
        before = jax.eval_shape(simulator.INIT, built)
        assert shapes(jax.eval_shape(simulator.STEP, built, before)[0]) == shapes(before)


@EVERY
def two_rates_two_graphs_and_two_data_sets_are_one_trace(bed):
    assert np.all(np.isfinite(bed.base))
    before = len(cases.traces)
    W, data = cases.network_of(bed.name, seed=3), cases.problem(seed=1)
    other = cases.run(cases.build(bed.name, W, lr=1 / 16, data=data, seed=5), 3, bed.start)
    still = cases.run(cases.build(bed.name, lr=0), 3, bed.start)
    assert len(cases.traces) == before
    assert np.all(np.isfinite(other)) and not np.allclose(other, still)


@EVERY
def data_are_paired_and_seeds_differ(bed):
    """A node's minibatches depend on seed, round and node alone; another seed draws others."""
    one = bed.run(3, data=bed.noisy, seed=4)
    again = cases.run(cases.build(bed.name, data=bed.noisy, seed=4), 3, bed.start)
    other = bed.run(3, data=bed.noisy, seed=5)
    assert np.array_equal(one, again)
    # The noise of a full gradient is none, and cancels where its minibatches correct it.
    assert (np.abs(one - other).max() > 1e-3) or "full" in cases.kind_of(bed.name)().needs


@EVERY
def resumed_after_any_round_equals_uninterrupted_bit_for_bit(bed):
    simulation, sim = bed.of(data=bed.noisy), bed.begun
    for t in range(1, beds.ROUNDS + 1):
        stored = jax.tree.map(np.asarray, sim)  # through the host, as a checkpoint goes
        new, _ = cases.advance(simulation, jax.tree.map(jnp.asarray, stored), jnp.int32(t))
        assert int(new.t) == t and not cases.equal_bits(new, sim)
        sim = new
    assert cases.equal_bits(sim, bed.end)
