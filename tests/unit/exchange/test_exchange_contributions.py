"""Nodes that count for more or for nothing, and nodes that do not take, against NumPy."""

import exchange_programs as programs
import jax
import jax.numpy as jnp
import numpy as np
import plan_reading
import pytest

import jdl
from jdl import exchange, topology
from jdl.exchange import Contributions, Lossy
from jdl.topology.topology import grouped

N = 9
EYE = jnp.eye(N, dtype=jnp.float32)
KEY = jax.random.key(0)
WEIGHTS = np.array([1, 0, 3, 0.5, 0, 2, 1, 1, 4])
TAKES = np.array([1, 1, 0, 1, 0, 1, 1, 1, 1], bool)
RING = topology.ring(N)
GROUPS = grouped("groups", np.array([0, 2, 0, 1, 1, 2, 0, 1, 3]))


def matrix(network, plan, key=KEY):
    network = exchange.stack([network] if not isinstance(network, list) else network)
    inbox, _, traffic = programs.apply(network, network.init(EYE), programs.wire(plan, EYE, bits=7), key)
    return np.asarray(inbox, np.float64), traffic


def weighted(W, weights, takes):
    """W_ij c_j, each row divided by its sum; the identity for who does not take."""
    rows = W * weights
    good = takes & (rows.sum(1) > 0)
    return np.where(good[:, None], rows / np.where(good, rows.sum(1), 1)[:, None], np.eye(len(W)))


@pytest.mark.parametrize("plan", [RING.plan("slots"), GROUPS.plan("groups")], ids=["slots", "groups"])
def test_the_average_is_weighted_and_who_does_not_take_or_count_costs_nothing(plan):
    W = plan_reading.matrix(plan).astype(np.float64)
    expected = weighted(W, WEIGHTS, TAKES)
    found, traffic = matrix(Contributions.of(WEIGHTS, TAKES), plan)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found[:, WEIGHTS == 0] * (1 - np.eye(N))[:, WEIGHTS == 0], 0)
    copies = (expected * (1 - np.eye(N)) > 0).sum(0)
    np.testing.assert_array_equal(traffic.messages, copies)
    np.testing.assert_array_equal(traffic.bits, 7 * copies)


def test_equal_weights_are_gossip_and_lost_messages_keep_rows_stochastic():
    plan = RING.plan("slots")
    np.testing.assert_allclose(matrix(Contributions.of(np.full(N, 2.0)), plan)[0], RING.weights.toarray(), atol=1e-7)
    for network in ([Lossy(0.5), Contributions.of(WEIGHTS, TAKES)], [Contributions.of(WEIGHTS, TAKES), Lossy(0.5)]):
        found = matrix(network, plan)[0]
        np.testing.assert_allclose(found.sum(1), 1, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(found[~TAKES], np.eye(N)[~TAKES])
    alike = jnp.full((N, 3), 0.1)
    network = Contributions.of(WEIGHTS, TAKES)
    assert np.array_equal(programs.apply(network, (), programs.wire(plan, alike), KEY)[0], alike)


def test_a_model_that_is_no_number_harms_nobody_if_it_does_not_count():
    broken = np.where(WEIGHTS[:, None] == 0, np.nan, 1.0).astype(np.float32)
    inbox = programs.apply(Contributions.of(WEIGHTS), (), programs.wire(RING.plan("slots"), broken), KEY)[0]
    assert np.all(np.isfinite(inbox))  # nor itself, since it takes the average of the others


def test_what_does_not_fit_is_refused():
    for weights, takes in (([1, -1], None), ([1, np.inf], None), ([[1]], None), ([1, 1], [1, 0]), ([1, 1], [True])):
        with pytest.raises(jdl.checks.InputError, match="need "):
            Contributions.of(weights, takes)
    data = jdl.problems.quadratic(nodes=N, dim=2)
    with pytest.raises(jdl.checks.InputError, match="got weights of 3 nodes, need one for each of 9"):
        jdl.simulation(data, jdl.algorithms.DPSGD(), RING, [Contributions.of([1, 1, 1])])
    with pytest.raises(jdl.checks.InputError, match="needs 'doubly_stochastic', which the network breaks"):
        jdl.simulation(data, jdl.algorithms.D2(), RING, [Contributions.of(WEIGHTS)])
