"""Sampled rounds of schedules: the laws of random matchings, and a cycle whose answer is known."""

import numpy as np
import pytest
from plan_reading import matrix

from jdl.checks import InputError
from jdl.plan import clients
from jdl.schedule import Cyclic, Fixed, Matching
from jdl.topology import complete, lambda_2, one_peer_exponential, random_regular, ring
from jdl.topology.spectrum.sampled import (
    effective_neighbours_of_rounds,
    expected_contraction,
    sample_rounds,
    weights_of,
)


@pytest.mark.parametrize("form", ["slots", "dense", "circulant"])
def test_weights_of_a_plan_are_those_of_the_topology(form):
    plan = ring(9).plan(form)
    np.testing.assert_allclose(weights_of(plan).toarray(), ring(9).weights.toarray(), atol=1e-7)
    np.testing.assert_allclose(weights_of(plan).toarray(), matrix(plan), atol=1e-7)
    assert weights_of(plan).nnz == 27


def test_rounds_are_those_of_a_run():
    phases = one_peer_exponential(8)
    for W, phase in zip(sample_rounds(Cyclic.of(phases), 5), phases * 2, strict=False):
        np.testing.assert_allclose(W.toarray(), phase.weights.toarray(), atol=1e-7)
    first, again, other = (sample_rounds(Matching(8), 3, seed) for seed in (4, 4, 5))
    assert all((a != b).nnz == 0 for a, b in zip(first, again, strict=True))
    assert any((a != b).nnz for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("n", [3, 8, 100])
def test_random_matchings_have_their_expected_contraction(n):
    # W'W = W, and each pair meets with probability 1 / (n - 1), or 1 / n for odd n: E[W] - J = expected (I - J).
    expected = (n - 2) / (2 * (n - 1)) if n % 2 == 0 else 0.5
    found = expected_contraction(sample_rounds(Matching(n), 300))
    assert found.round == pytest.approx(np.sqrt(expected), abs=4 * found.error) and found.error < 0.03
    assert found.round <= found.at_most and found.rounds == 300


def test_what_does_not_vary_is_exact():
    topology = random_regular(40, 3, seed=1)
    found = expected_contraction(sample_rounds(Fixed.of(topology), 6))
    assert found.round == pytest.approx(lambda_2(topology), rel=0.02) and found.at_most <= lambda_2(topology) + 1e-6
    assert expected_contraction(sample_rounds(Fixed.of(complete(9)), 2)).at_most < 1e-6
    assert expected_contraction(sample_rounds(Matching(1), 2)).round == 0


def test_directions_that_contract_differently_are_told_apart():
    """Two pairs of a ring of 4, one of them each round: the best direction differs from a random one."""
    rounds = sample_rounds(Cyclic.of(one_peer_exponential(4)), 40)
    mean = sum((W.T @ W).toarray() for W in rounds) / 40 - 0.25
    found = expected_contraction(rounds)
    assert found.at_most == pytest.approx(np.sqrt(np.linalg.eigvalsh(mean)[-1]), rel=0.01)


def test_effective_neighbours_of_a_random_matching():
    # S = E[W (gamma S + I) W'] with S = a I + b J: what is not the mean is multiplied by q = (n - 2) / (2 (n - 1)).
    n, gamma = 16, 0.9
    q = (n - 2) / (2 * (n - 1))
    variance = (n - 1) / n * q / (1 - gamma * q) + 1 / n / (1 - gamma)
    found = effective_neighbours_of_rounds(sample_rounds(Matching(n), 200), gamma, doubly=True)
    assert found.mean == pytest.approx(1 / (1 - gamma) / variance, rel=0.03)


def test_refusals():
    with pytest.raises(InputError, match="got a plan with a server, which has no W"):
        weights_of(clients(np.array([1, 3])))
    with pytest.raises(InputError, match="got 1 rounds, an estimate needs two or more"):
        expected_contraction(sample_rounds(Matching(4), 1))
