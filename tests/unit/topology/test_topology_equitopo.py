"""EquiStatic: a mean of basis matrices, exact averaging with all of them, and the rate that the paper promises."""

import math

import numpy as np
import pytest

from jdl.checks import InputError
from jdl.topology.graphs.equitopo import equistatic


def norm(topology):
    return np.linalg.norm(topology.weights.toarray() - 1 / topology.n, 2)


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 17, 32])
def test_all_shifts_average_exactly(n, directed):
    made = equistatic(n, degree=n - 1, directed=directed)
    np.testing.assert_allclose(made.weights.toarray(), 1 / n, rtol=0, atol=1e-15)
    assert made.symmetric


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize(("n", "degree"), [(17, 4), (17, 2), (12, 5), (30, 6), (64, 10)])
def test_a_mean_of_basis_matrices(n, degree, directed):
    made = equistatic(n, degree, directed, seed=2)
    P, basis = np.roll(np.eye(n), 1, axis=1), []
    for shift in made.shifts:
        basis.append(((n - 1) * np.linalg.matrix_power(P, shift) + np.eye(n)) / n)
    W = made.weights.toarray()
    np.testing.assert_allclose(W, np.mean(basis, axis=0), rtol=0, atol=1e-15)
    np.testing.assert_allclose([W.sum(axis=0), W.sum(axis=1)], 1, rtol=0, atol=1e-14)
    assert set(made.degree) == {degree} and made.stochastic == "doubly"
    assert made.symmetric == np.array_equal(W, W.T) and (directed or made.symmetric)
    values = np.linalg.eigvals(W)
    assert all(np.abs(values - value).min() < 1e-9 for value in made.spectrum())
    assert np.sum(np.abs(made.spectrum()) ** 2) - 1 == pytest.approx(
        (n - 1) * (n - 1 - degree) / (n * degree), abs=1e-12
    )


@pytest.mark.parametrize("directed", [False, True])
def test_every_draw_is_connected(directed):
    for seed in range(60):
        made = equistatic(12, 1 if directed else 2, directed, seed)
        assert math.gcd(12, *made.shifts) == 1 and norm(made) < 1 - 1e-3


@pytest.mark.parametrize("directed", [False, True])
def test_the_rate_is_below_epsilon_as_often_as_promised(directed):
    n, epsilon, p, seeds = 300, 0.6, 0.2, 30
    degree = math.ceil(8 * math.log(2 * n / p) / (3 * epsilon**2)) * (1 if directed else 2)
    below = [np.sort(np.abs(equistatic(n, degree, directed, seed).spectrum()))[-2] < epsilon for seed in range(seeds)]
    assert np.mean(below) >= 1 - p


def test_log_n_neighbours_keep_the_gap_and_one_closes_it():
    rates = {}
    for n in (64, 512, 4096):
        degree = 4 * round(math.log2(n))
        rates[n] = np.mean([np.sort(np.abs(equistatic(n, degree, True, seed).spectrum()))[-2] for seed in range(5)])
    assert max(rates.values()) < 0.65 and abs(rates[4096] - rates[512]) < 0.1
    assert np.sort(np.abs(equistatic(512, 1, True).spectrum()))[-2] > 0.99


def test_by_default_as_many_neighbours_as_the_exponential_graph():
    assert [equistatic(n, directed=True).degree[0] for n in (1, 2, 3, 4, 5, 17, 64)] == [0, 1, 2, 2, 3, 5, 6]
    assert [equistatic(n).degree[0] for n in (1, 2, 3, 4, 5, 17, 64)] == [0, 1, 2, 2, 4, 6, 6]


def test_a_seed_names_the_graph():
    assert equistatic(100, seed=1).shifts == equistatic(100, seed=1).shifts != equistatic(100, seed=2).shifts


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: equistatic(0), "got n=0, need a whole number of at least 1"),
        (lambda: equistatic(5, degree=5), "got degree=5 with n=5, cyclic shifts need degree < n; try degree=4"),
        (lambda: equistatic(9, degree=3), "need an even degree where n is odd; try degree=4"),
        (lambda: equistatic(8, degree=1), "a connected graph needs degree 2 or more; try degree=2"),
        (lambda: equistatic(8, degree=0, directed=True), "a connected graph needs degree 1 or more; try degree=1"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(InputError) as error:
        make()
    assert sentence in str(error.value)
