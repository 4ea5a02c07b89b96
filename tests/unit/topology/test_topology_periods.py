"""Cycles against their dense products and the closed forms of one-peer graphs."""

import numpy as np
import pytest

from jdl.checks import InputError
from jdl.topology import Topology, complete, exponential, from_weights, one_peer_exponential, random_regular, ring
from jdl.topology.spectrum import periods
from jdl.topology.spectrum.periods import contraction, exact_after_rounds, gossip, period_product
from jdl.topology.topology import grouped


@pytest.mark.parametrize("n", [2, 4, 16, 1024])
def test_one_peer_exponential_is_exact_at_powers_of_two(n):
    phases = one_peer_exponential(n)
    assert exact_after_rounds(phases) == len(phases) == n.bit_length() - 1
    assert contraction(phases).period < 1e-12
    if n < 100:
        np.testing.assert_allclose(period_product(phases), 1 / n, atol=1e-12)


@pytest.mark.parametrize("n", [3, 6, 12, 33])
def test_and_geometric_elsewhere(n):
    # The frequency w of (I + P^s) / 2 has modulus |cos(s w / 2)|; the product telescopes in sin(2^tau w / 2).
    phases = one_peer_exponential(n)
    tau, w = len(phases), 2 * np.pi * np.arange(1, n) / n
    expected = np.max(np.abs(np.sin(2**tau * w / 2) / (2**tau * np.sin(w / 2))))
    assert exact_after_rounds(phases) is None
    assert contraction(phases) == pytest.approx((expected, expected ** (1 / tau)), abs=1e-12)


def plain(topology):
    return Topology(topology.name, topology.weights, topology.stochastic, topology.symmetric)


@pytest.mark.parametrize("doubly", [True, False])
def test_iteration_agrees_with_the_dense_norm(monkeypatch, doubly):
    phases = [random_regular(60, 3, seed=s) for s in range(3)]
    if not doubly:
        shares = np.random.default_rng(0).random((60, 60)) + 0.1
        phases[1] = from_weights(shares / shares.sum(axis=1, keepdims=True), stochastic="row")
    dense = contraction(phases)
    product = phases[2].weights @ phases[1].weights @ phases[0].weights
    np.testing.assert_allclose(period_product(phases), product.toarray(), atol=1e-14)
    if doubly:
        assert dense.period == pytest.approx(np.linalg.norm(product.toarray() - 1 / 60, 2), abs=1e-12)
    monkeypatch.setattr(periods, "DENSE_NODES", 0)
    assert contraction(phases) == pytest.approx(dense, abs=1e-7)


def test_fourier_agrees_with_the_dense_norm():
    phases = [exponential(24), ring(24), one_peer_exponential(24)[1]]
    assert contraction(phases) == pytest.approx(contraction([plain(phase) for phase in phases]), abs=1e-12)


def test_a_single_topology_is_a_period_of_one():
    assert exact_after_rounds(complete(7)) == 1 and exact_after_rounds(ring(7)) is None
    assert exact_after_rounds([ring(7), complete(7), ring(7)]) == 2
    assert exact_after_rounds(ring(1)) == 0 and contraction(ring(1)) == (0, 0)


def test_another_limit_than_the_mean_is_not_exact():
    assert exact_after_rounds(from_weights([[0.25, 0.75], [0.25, 0.75]], stochastic="row")) is None


def test_groups_are_averaged_without_their_matrix():
    groups = np.array([2, 0, 1, 0, 2, 2])
    topology = grouped("g", groups)
    x = np.random.default_rng(0).standard_normal((6, 3))
    np.testing.assert_allclose(gossip(topology, x), topology.weights @ x, atol=1e-14)
    np.testing.assert_allclose(gossip(topology, x, transposed=True), topology.weights.T @ x, atol=1e-14)
    rows, columns = np.divmod(np.arange(12), 4)
    assert exact_after_rounds([grouped("rows", rows), grouped("columns", columns)]) == 2


def test_refusals():
    with pytest.raises(InputError, match="got no topologies, a cycle needs at least one"):
        contraction([])
    with pytest.raises(InputError, match="got topologies of n=3 and n=4, a cycle needs one n"):
        exact_after_rounds([ring(3), ring(4)])
    with pytest.raises(InputError, match="got n=6000, a product needs n of at most 5000"):
        period_product(ring(6000))
