"""Arrays that nodes keep private at random: the W of each array, read off with unit vectors."""

import exchange_programs as programs
import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import plan_reading
import pytest

import jdl
from jdl import exchange, topology, tree
from jdl import plan as plans
from jdl.exchange import RandomShare

N, ROUNDS = 9, 200
KEYS = jax.random.split(jax.random.key(2), ROUNDS)
EYE = {"lora": {"A": np.eye(N, dtype=np.float32), "B": np.eye(N, dtype=np.float32)}, "c": np.eye(N, dtype=np.float32)}
BITS = 3 * 32 * N


def rounds(plan, probability=0.5):
    """W of the arrays A, B and c, `[rounds, 3, n, n]`, and the traffic, in some rounds."""
    network = tree.numbers_to_arrays(RandomShare(("A", "B"), probability))
    wire = programs.wire(plan, jax.tree.map(jnp.asarray, EYE), bits=BITS)
    run = jax.jit(jax.vmap(lambda key: programs.round_of(network, network.init(EYE), wire, key)[::2]))
    inbox, traffic = run(KEYS)
    W = np.stack([inbox["lora"]["A"], inbox["lora"]["B"], inbox["c"]], axis=1).astype(np.float64)
    return W, traffic


def test_an_array_is_averaged_over_the_nodes_that_share_it_and_others_as_ever():
    graph = topology.complete(N)
    found, traffic = rounds(graph.plan("slots"))
    np.testing.assert_allclose(found[:, 2], np.full((ROUNDS, N, N), 1 / N), rtol=0, atol=1e-6)
    shares = np.any(found[:, :2] * (1 - np.eye(N)) != 0, axis=3)  # [rounds, arrays, nodes]
    expected = shares[..., :, None] & shares[..., None, :]
    expected = np.where(expected, 1 / np.maximum(shares.sum(-1), 1)[..., None, None], np.eye(N) * ~shares[..., None])
    np.testing.assert_allclose(found[:, :2], expected, rtol=0, atol=1e-6)
    # One that shares alone cannot be told from one that does not.
    often = 0.5 * (1 - 0.5 ** (N - 1))
    assert abs(shares.mean() - often) < 5 * 0.5 / np.sqrt(shares.size)
    assert abs((shares[:, 0] & shares[:, 1]).mean() - often**2) < 5 * 0.5 / np.sqrt(ROUNDS * N)
    copies = (found * (1 - np.eye(N)) != 0).sum(axis=2)  # [rounds, arrays, senders]
    np.testing.assert_allclose(traffic.bits, copies.sum(1) * BITS / 3, rtol=1e-6)
    np.testing.assert_array_equal(traffic.messages, np.full((ROUNDS, N), N - 1))


def test_over_a_graph_each_matrix_is_symmetric_and_stochastic():
    graph = topology.from_graph(nx.wheel_graph(N))
    W, (found, _) = graph.weights.toarray(), rounds(graph.plan("slots"))
    np.testing.assert_allclose(found.sum(3), 1, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found, found.transpose(0, 1, 3, 2), rtol=0, atol=1e-7)
    off = 1 - np.eye(N)
    linked = found * off != 0
    given = np.diag(W) + (linked * W).sum(3)
    expected = linked * W / np.maximum(given[..., :, None], given[..., None, :])
    np.testing.assert_allclose(found * off, expected, rtol=0, atol=1e-6)
    assert 0 < linked[:, :2].mean() < linked[:, 2].mean()


def test_if_all_share_it_is_gossip_to_the_last_bit_and_if_nobody_does_private():
    plan = topology.ring(N).plan("slots")
    rng = np.random.default_rng(0)
    x = {"A": rng.standard_normal((N, 3)).astype(np.float32), "c": rng.standard_normal(N).astype(np.float32)}
    wire = programs.wire(plan, x, bits=4 * 32)
    expected, _, sent = programs.apply(exchange.Linear(), (), wire, KEYS[0])
    network = lambda p: tree.numbers_to_arrays(RandomShare(("A",), p))
    inbox, _, traffic = programs.apply(network(1.0), programs.begun(network(1.0), x), wire, KEYS[0])
    assert all(np.array_equal(inbox[key], expected[key]) for key in x)
    assert np.array_equal(traffic.bits, sent.bits) and np.array_equal(traffic.messages, sent.messages)
    inbox, _, traffic = programs.apply(network(0.0), programs.begun(network(0.0), x), wire, KEYS[0])
    assert np.array_equal(inbox["A"], x["A"]) and np.array_equal(inbox["c"], expected["c"])
    np.testing.assert_array_equal(traffic.bits, plan_reading.links_into(plan).sum(axis=0) * 32)


def test_a_server_averages_each_array_over_the_clients_that_sent_it():
    plan = plans.clients(np.arange(0, 2 * N, 2, dtype=np.int32))
    found, traffic = rounds(plan)  # [rounds, arrays, clients]
    sent = found != 0
    np.testing.assert_allclose(found, sent / np.maximum(sent.sum(2, keepdims=True), 1), rtol=0, atol=1e-6)
    assert np.all(sent[:, 2]) and abs(sent[:, :2].mean() - 0.5) < 5 * 0.5 / np.sqrt(2 * ROUNDS * N)
    np.testing.assert_allclose(traffic.bits, sent.sum(1) * BITS / 3, rtol=1e-6)


def test_fedavg_whose_clients_share_all_is_fedavg():
    data = jdl.problems.quadratic(nodes=6, dim=4)

    def end(network):
        built = jdl.simulation(data, jdl.algorithms.FedAvg(), jdl.schedule.Sampling(6, 3), network)
        return jax.jit(lambda built: jdl.sim.advance(built, jdl.sim.init(built), 4)[0])(built)

    plain, shared = end([]), end([RandomShare((), 1.0)])
    assert all(map(np.array_equal, jax.tree.leaves(plain.server), jax.tree.leaves(shared.server)))
    assert np.array_equal(plain.traffic.bits, shared.traffic.bits)


def test_keys_that_fit_no_array_are_refused():
    with pytest.raises(
        jdl.checks.InputError, match=r"got keys head, which are in the path of no array .* A, B, c, lora"
    ):
        RandomShare(("head",)).init(jax.tree.map(jnp.asarray, EYE))
