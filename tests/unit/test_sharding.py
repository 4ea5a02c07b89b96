"""Nodes over devices: the same numbers as on one, however many rows there are; what cannot be divided is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import jdl
from jdl import checks
from jdl.data import Dataset
from jdl.engine import placement
from jdl.models.layers import Conv, Dense

N = 4


class Small(nn.Module):
    """One convolution."""

    @nn.compact
    def __call__(self, x):
        return Dense(2)(nn.relu(Conv(2, (3, 3))(x)).reshape(x.shape[0], -1))


@functools.cache
def problem():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 5, 5, 1)).astype(np.float32), rng.integers(0, 2, 32)
    return jdl.problems.supervised(Dataset(x, y, x[:7], y[:7], 2, "noise", ""), nodes=N, model=Small(), batch_size=4)


def run(**how):
    return jdl.run(problem(), jdl.algorithms.DPSGD(lr=0.1), jdl.topology.ring(N), progress=False, **how)


@pytest.mark.parametrize("count", [1, 3, 8, 11])
def test_rows_are_divided_whatever_their_number(count):
    rows = {"id": jnp.arange(count), "x": jnp.arange(2.0 * count).reshape(count, 2)}

    def of_each(factor, rows):
        assert rows["id"].shape[0] == -(-count // 4)  # what one of the devices is given
        return jax.vmap(lambda row: {"out": factor * row["x"].sum() + row["id"].astype(jnp.float32)})(rows)

    out = jax.jit(placement.divided(of_each, placement.mesh_over(4)))(3.0, rows)
    np.testing.assert_array_equal(out["out"], 3 * rows["x"].sum(axis=1) + rows["id"].astype(jnp.float32))


def test_convolutions_are_divided_over_cores_by_themselves_and_dense_networks_are_not(monkeypatch):
    monkeypatch.setattr(placement, "cores", lambda: 3)
    auto = jdl.simulation(problem(), jdl.algorithms.DPSGD(), jdl.topology.ring(N))
    assert auto.placement.mesh.size == 2  # the largest divisor of four nodes
    dense = jdl.simulation(jdl.problems.digits(nodes=N), jdl.algorithms.DPSGD(), jdl.topology.ring(N))
    assert dense.placement.mesh is None
    monkeypatch.setattr(placement, "cores", lambda: 1)
    assert jdl.simulation(problem(), jdl.algorithms.DPSGD(), jdl.topology.ring(N)).placement.mesh is None


def test_a_run_over_devices_is_that_of_one_and_goes_on_where_it_stopped(tmp_path):
    one, many = run(rounds=4, devices=1), run(rounds=4, devices=2, run_dir=tmp_path / "whole")
    assert one.simulation.placement.mesh is None and many.simulation.placement.mesh.size == 2
    for a, b in zip(jax.tree.leaves(one.models), jax.tree.leaves(many.models), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    for row, other in zip(one.history.rows, many.history.rows, strict=True):
        for name in row.keys() - {"seconds"}:
            assert row[name] == pytest.approx(other[name], rel=1e-4, abs=1e-6), name
    assert jax.tree.leaves(many.sim.nodes)[0].sharding.num_devices == 2

    run(rounds=2, devices=2, run_dir=tmp_path / "part")
    with pytest.raises(checks.InputError, match="devices was 2, is None"):
        run(rounds=4, devices=1, run_dir=tmp_path / "part", resume=True)


def test_an_interrupted_run_over_devices_ends_bit_for_bit(tmp_path, interrupt):
    stopped = run(rounds=4, devices=2, eval_every=1, run_dir=tmp_path / "run")
    assert stopped.status == "interrupted" and 0 < int(stopped.sim.t) < 4
    interrupt.undo()
    whole = run(rounds=4, devices=2, eval_every=1)
    ended = run(rounds=4, devices=2, eval_every=1, run_dir=tmp_path / "run", resume=True)
    for a, b in zip(jax.tree.leaves(whole.sim), jax.tree.leaves(ended.sim), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"devices": 3}, "got devices=3 for 4 nodes, need a divisor of 4"),
        ({"devices": 0}, 'got devices=0, need "auto" or a number'),
        ({"devices": True}, "got devices=True, need"),
        ({"devices": "all"}, "got devices='all', need"),
        ({"devices": 2, "mapping": "loop"}, 'got devices=2 with mapping="loop"'),
    ],
)
def test_refusals(how, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        jdl.simulation(problem(), jdl.algorithms.DPSGD(), jdl.topology.ring(N), **how)


def test_more_devices_than_there_are():
    with pytest.raises(checks.InputError, match=r"got devices=1000, JAX sees \d+ .*jdl.use_cores\(\)"):
        placement.mesh_over(1000)


def test_cores_do_not_become_devices_after_the_first_computation(monkeypatch):
    jax.block_until_ready(jnp.zeros(1))
    monkeypatch.delenv("XLA_FLAGS")  # which says how many devices these tests have
    with pytest.raises(checks.InputError, match=r"got jdl.use_cores\(\) after JAX's first computation"):
        placement.use_cores(3)
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
    assert placement.use_cores(3) == 8  # as told from outside


def test_a_servers_arrays_are_copied_even_where_they_have_as_many_rows_as_there_are_nodes():
    """On 64 features the kernel of the server's model is [64, 2]; the traffic of clients, [2, n + 1], has no rows."""
    rng = np.random.default_rng(0)
    data = Dataset(rng.normal(size=(64, 8)).astype(np.float32), rng.integers(0, 2, 64), None, None, 2, "noise", "")
    data = data._replace(test_x=data.train_x[:8], test_y=data.train_y[:8])
    both = jdl.problems.supervised(data, nodes=8, model="linear")
    mesh = placement.mesh_over(8)

    def places(algorithm, topology):
        sim = jax.eval_shape(jdl.sim.init, jdl.simulation(both, algorithm, topology))
        return sim, placement.by_rows(sim, 8, mesh)

    sim, where = places(jdl.algorithms.FedAvg(), None)
    assert any(leaf.shape[0] == 8 for leaf in jax.tree.leaves(sim.server))
    assert all(place.is_fully_replicated for place in jax.tree.leaves(where))
    sim, where = places(jdl.algorithms.DPSGD(), jdl.topology.ring(8))
    assert all(leaf.shape[0] == 8 for leaf in jax.tree.leaves(sim.nodes))
    assert not any(place.is_fully_replicated for place in jax.tree.leaves(where.nodes))
    assert where.traffic.bits.is_fully_replicated and where.t.is_fully_replicated
