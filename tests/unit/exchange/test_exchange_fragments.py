"""Fragments over different links, and slices that fail alone, against matrices read off with unit vectors."""

import functools

import exchange_programs as programs
import jax
import jax.numpy as jnp
import numpy as np
import plan_reading
import pytest

import jdl
from jdl import exchange, topology
from jdl import plan as plans
from jdl.exchange import Fragments, Lossy, SliceLoss
from jdl.topology.topology import grouped

N, COUNT, BITS = 9, 4, 44 * 32
KEY = jax.random.key(5)
GRAPH = topology.random_regular(N + 1, degree=4, seed=1)
GROUPS = grouped("groups", np.array([0, 2, 0, 1, 1, 2, 0, 1, 2]))


@functools.partial(jax.jit, static_argnums=1)
def _matrices(network, name, plan, keys):
    n = len(plan.self_weights)

    def column(key, j):
        """What all nodes receive of each fragment where node j sends ones and the others zeros, [n, count]."""
        unit = jnp.broadcast_to((jnp.arange(n) == j)[:, None], (n, COUNT)).astype(jnp.float32)
        return network.apply(network.init(unit), programs.wire(plan, unit), key)[0]

    by_column = jax.vmap(jax.vmap(column, (None, 0)), (0, None))(keys, jnp.arange(n))
    return jnp.moveaxis(by_column, 1, -1)


def matrices(network, plan, count=1, key=KEY):
    """W of each fragment in some rounds, `[rounds, n, fragments, n]`; to a server without the first n."""
    keys = jax.random.split(key, count)
    return np.asarray(_matrices(network, str(network), plan, keys), np.float64)


@pytest.mark.parametrize(("form", "per_link"), [("slots", 2), pytest.param("edges", 3, marks=pytest.mark.slow)])
def test_each_link_carries_so_many_fragments_and_every_matrix_is_symmetric_and_stochastic(form, per_link):
    W = GRAPH.weights.toarray()
    found = np.moveaxis(matrices(Fragments(COUNT, per_link), GRAPH.plan(form))[0], 1, 0)
    off = found * (1 - np.eye(N + 1))
    np.testing.assert_allclose(found.sum(2), 1, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found, found.transpose(0, 2, 1))
    expected = np.where(off != 0, W, 0)
    np.testing.assert_allclose(off, expected, rtol=0, atol=1e-7)
    links = (W > 0) & ~np.eye(N + 1, dtype=bool)
    np.testing.assert_array_equal((off != 0).sum(0)[links], per_link)
    assert all(np.any(one) for one in off)  # and not the same fragment on all of them


def message(n=N):
    rng = np.random.default_rng(0)
    shapes = {"a": (3, 2), "b": (), "c": (0,), "d": (31,), "e": (2, 3)}
    return {key: rng.standard_normal((n, *shape)).astype(np.float32) for key, shape in shapes.items()}


def flat(x):
    return np.concatenate([np.asarray(x[key], np.float64).reshape(len(x["b"]), -1) for key in sorted(x)], axis=1)


def test_numbers_are_cut_in_order_and_the_mean_is_kept_and_bits_are_the_share():
    plan, x = GRAPH.plan("slots"), message(N + 1)
    of, key = matrices(Fragments(COUNT, 2), plan)[0], jax.random.split(KEY, 1)[0]
    network = Fragments(COUNT, 2)
    inbox, _, traffic = programs.apply(network, programs.begun(network, x), programs.wire(plan, x, bits=BITS), key)
    expected = [of[:, f] @ flat(x)[:, 11 * f : 11 * (f + 1)] for f in range(COUNT)]
    np.testing.assert_allclose(flat(inbox), np.concatenate(expected, axis=1), rtol=0, atol=1e-6)
    np.testing.assert_allclose(flat(inbox).mean(0), flat(x).mean(0), rtol=0, atol=1e-6)
    assert all(inbox[key].shape == x[key].shape for key in x)
    degree = plan_reading.links_into(plan).sum(axis=0)
    np.testing.assert_array_equal(traffic.messages, degree)
    np.testing.assert_allclose(traffic.bits, degree * BITS / 2, rtol=1e-6)


@pytest.mark.parametrize(
    "network", [Fragments(1), Fragments(3, 3), SliceLoss(4, 0.0), SliceLoss(1, 0.0, together=True)]
)
def test_all_of_it_on_all_links_is_gossip_to_the_last_bit(network):
    plan, x = topology.ring(N).plan("slots"), message()
    wire = programs.wire(plan, x, bits=BITS)
    inbox, _, traffic = programs.apply(network, programs.begun(network, x), wire, KEY)
    expected, _, sent = programs.apply(exchange.Linear(), (), wire, KEY)
    assert all(np.array_equal(inbox[key], expected[key]) for key in expected)
    np.testing.assert_array_equal(traffic.messages, sent.messages)
    np.testing.assert_allclose(traffic.bits, sent.bits, rtol=1e-6)


def test_directed_weights_keep_their_rows_and_a_lossy_link_loses_all_it_carries():
    W = np.roll(np.eye(N), 1, axis=1) * 0.3 + np.roll(np.eye(N), 3, axis=1) * 0.3 + np.eye(N) * 0.4
    plan = topology.from_weights(W).plan("slots")
    network = exchange.stack([Lossy(0.4), Fragments(COUNT, 3)])
    found = np.moveaxis(matrices(network, plan)[0], 1, 0)
    np.testing.assert_allclose(found.sum(2), 1, rtol=0, atol=1e-6)
    there = (found != 0)[:, (W > 0) & ~np.eye(N, dtype=bool)].sum(0)
    assert set(there) == {0, 3}
    data = jdl.problems.quadratic(nodes=N, dim=2)
    with pytest.raises(
        jdl.checks.InputError, match="got GradientTracking that needs 'doubly_stochastic', which the net"
    ):
        jdl.simulation(data, jdl.algorithms.GradientTracking(), topology.from_weights(W), [Fragments()])


def test_what_cannot_be_is_refused():
    with pytest.raises(jdl.checks.InputError, match="got per_link=5 of count=4 fragments"):
        Fragments(4, 5)
    data = jdl.problems.quadratic(nodes=N, dim=2)
    for method, need in ((jdl.algorithms.PushSum(), "column_stochastic"), (jdl.algorithms.BEER(), "reliable")):
        with pytest.raises(jdl.checks.InputError, match=f"needs '{need}', which the network breaks"):
            jdl.simulation(data, method, topology.ring(N), [Fragments()])


# ---- slices -------------------------------------------------------------------------------------------------------


def test_slices_fail_alone_as_often_as_they_should_and_in_both_directions():
    plan, rounds = topology.ring(N).plan("slots"), 200
    found = np.moveaxis(matrices(SliceLoss(COUNT, 0.3), plan, rounds), 2, 1)
    np.testing.assert_array_equal(found, found.transpose(0, 1, 3, 2))
    np.testing.assert_allclose(found.sum(3), 1, rtol=0, atol=1e-6)
    there = found[:, :, np.arange(N), (np.arange(N) + 1) % N] != 0  # [rounds, slices, links]
    assert abs(there.mean() - 0.7) < 5 * np.sqrt(0.21 / there.size)
    both = (there[:, 0] & there[:, 1]).mean()  # slices of one link, and links of one slice, are independent
    assert abs(both - 0.49) < 5 * np.sqrt(0.25 / (rounds * N))
    assert abs((there[:, :, 0] & there[:, :, 1]).mean() - 0.49) < 5 * np.sqrt(0.25 / (rounds * COUNT))


def test_together_a_group_averages_a_slice_or_nobody_does():
    plan, group = GROUPS.plan("groups"), np.asarray(GROUPS.plan("groups").links.group)
    average = (group[:, None] == group) / (group[:, None] == group).sum(1)
    found = np.moveaxis(matrices(SliceLoss(COUNT, 0.5, together=True), plan, 60), 2, 1)
    done = []
    for W in found.reshape(-1, N, N):
        whole = np.array([not np.allclose(W[group == g], np.eye(N)[group == g]) for g in range(3)])
        np.testing.assert_allclose(W, np.where(whole[group][:, None], average, np.eye(N)), rtol=0, atol=1e-6)
        done.append(whole)
    done = np.array(done)
    assert abs(done.mean() - 0.5) < 5 * 0.5 / np.sqrt(done.size) and abs((done[:, 0] & done[:, 1]).mean() - 0.25) < 0.15


def test_a_server_averages_each_slice_over_the_clients_of_which_it_arrives():
    plan = plans.clients(np.arange(0, 12, 2, dtype=np.int32))
    found = matrices(SliceLoss(COUNT, 0.4), plan, 20)  # [rounds, slices, clients]
    arrived = found != 0
    counts = arrived.sum(-1, keepdims=True)
    np.testing.assert_allclose(found, arrived / np.maximum(counts, 1), rtol=0, atol=1e-6)
    assert len(set(counts.ravel())) > 2


def test_a_server_is_told_the_losses_that_come_one_by_one():
    """AFL's losses are a part that is not cut."""
    data = jdl.problems.quadratic(nodes=6, dim=5)
    built = jdl.simulation(data, jdl.algorithms.AFL(), jdl.schedule.Sampling(6, 3), [SliceLoss(3, 0.5)])
    end = jax.jit(lambda built: jdl.sim.advance(built, jdl.sim.init(built), 5)[0])(built)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(end.server)) and end.traffic.bits.sum() > 0
