"""Spectra against closed forms, and the iterative solver against the dense one."""

import networkx as nx
import numpy as np
import pytest

from jdl.checks import InputError
from jdl.topology import (
    Topology,
    circulant,
    complete,
    eigenvalues,
    exponential,
    from_graph,
    from_weights,
    lambda_2,
    one_peer_exponential,
    random_regular,
    ring,
    second_largest_eigenvalue,
    spectral_gap,
    torus,
)
from jdl.topology.spectrum import eigensolvers
from jdl.topology.spectrum import eigenvalues as spectrum
from jdl.topology.spectrum.eigenvalues import extremes


def forget_shifts(topology):
    """The same W without the knowledge that it is circulant."""
    return Topology(topology.name, topology.weights, topology.stochastic, topology.symmetric)


@pytest.mark.parametrize("forget", [lambda topology: topology, forget_shifts])
@pytest.mark.parametrize("n", [4, 5, 6, 16, 33, 700])
def test_ring(n, forget):
    topology = forget(ring(n))
    expected = (1 + 2 * np.cos(2 * np.pi * np.arange(n) / n)) / 3
    if n < 500 or topology.shifts is not None:
        np.testing.assert_allclose(np.sort(eigenvalues(topology)), np.sort(expected), rtol=0, atol=1e-12)
        assert n % 2 == 1 or eigenvalues(topology).min() == pytest.approx(-1 / 3, abs=1e-12)
    assert lambda_2(topology) == pytest.approx((1 + 2 * np.cos(2 * np.pi / n)) / 3, abs=1e-9)
    assert second_largest_eigenvalue(topology) == pytest.approx((1 + 2 * np.cos(2 * np.pi / n)) / 3, abs=1e-9)


def test_ring_of_a_million_keeps_its_gap():
    angle = 2 * np.pi / 10**6
    assert spectral_gap(ring(10**6)) == pytest.approx(4 / 3 * np.sin(angle / 2) ** 2, rel=1e-3)


@pytest.mark.parametrize("m", [4, 5, 9, 25])
def test_torus(m):
    assert lambda_2(torus(m * m)) == pytest.approx((3 + 2 * np.cos(2 * np.pi / m)) / 5, abs=1e-9)
    if m < 25:
        wave = 2 * np.cos(2 * np.pi * np.arange(m) / m)
        expected = (1 + wave[:, None] + wave[None, :]).ravel() / 5
        np.testing.assert_allclose(np.sort(eigenvalues(torus(m * m))), np.sort(expected), rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 10, 600])
def test_complete(n):
    for topology in (complete(n), forget_shifts(complete(n))):
        assert lambda_2(topology) == pytest.approx(0, abs=1e-12)
        assert second_largest_eigenvalue(topology) == pytest.approx(0, abs=1e-9)
        assert spectral_gap(topology) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("forget", [lambda topology: topology, forget_shifts])
@pytest.mark.parametrize("tau", [1, 2, 3, 6, 10])
def test_exponential(tau, forget):
    assert lambda_2(forget(exponential(2**tau))) == pytest.approx((tau - 1) / (tau + 1), abs=1e-8)


def test_one_peer_phases_do_not_contract_alone():
    # (I + P^s) / 2 has the eigenvalues (1 + exp(2 pi i j s / n)) / 2: 1 again for j = n / s, and cos(pi / n) for s = 1.
    first, second, third = one_peer_exponential(8)
    assert lambda_2(first) == pytest.approx(np.cos(np.pi / 8), abs=1e-12)
    assert lambda_2(second) == pytest.approx(1, abs=1e-12) and lambda_2(third) == pytest.approx(1, abs=1e-12)


def test_one_node_has_nothing_to_mix():
    assert [lambda_2(make(1)) for make in (ring, complete, exponential)] == [0, 0, 0]
    np.testing.assert_allclose(eigenvalues(ring(1)), [1])


def test_modulus_and_value_differ_at_a_long_negative_end():
    # J + 0.2 u u' - 0.7 v v' with u, v orthonormal to each other and to the constant vector.
    u, v = np.array([1, -1, 0, 0]) / np.sqrt(2), np.array([0, 0, 1, -1]) / np.sqrt(2)
    topology = from_weights(np.full((4, 4), 0.25) + 0.2 * np.outer(u, u) - 0.7 * np.outer(v, v))
    assert lambda_2(topology) == pytest.approx(0.7, abs=1e-12)
    assert second_largest_eigenvalue(topology) == pytest.approx(0.2, abs=1e-12)
    np.testing.assert_allclose(eigenvalues(topology), [1, -0.7, 0.2, 0], rtol=0, atol=1e-12)


def test_singular_value_where_w_is_not_normal():
    # J + 0.3 u v': both eigenvalues beside 1 are zero, yet one round leaves 0.3 of the direction v.
    u, v = np.array([1, 1, -2]) / np.sqrt(6), np.array([1, -1, 0]) / np.sqrt(2)
    topology = from_weights(np.full((3, 3), 1 / 3) + 0.3 * np.outer(u, v))
    assert not topology.symmetric
    assert lambda_2(topology) == pytest.approx(0.3, abs=1e-12)


def test_row_and_column_stochastic_use_the_second_modulus():
    # [[1 - a, a], [b, 1 - b]] has the eigenvalues 1 and 1 - a - b.
    W = np.array([[0.9, 0.1], [0.3, 0.7]])
    assert lambda_2(from_weights(W, stochastic="row")) == pytest.approx(0.6, abs=1e-12)
    assert lambda_2(from_weights(W.T, stochastic="column")) == pytest.approx(0.6, abs=1e-12)


def test_random_regular_has_the_gap_of_friedmans_theorem():
    n, degree = 1000, 4
    topology = random_regular(n, degree, seed=1)
    bound = (1 + 2 * np.sqrt(degree - 1)) / (degree + 1)
    assert bound - 0.05 < lambda_2(topology) < bound + 0.01


@pytest.mark.parametrize("kind", ["symmetric", "doubly", "column"])
def test_iterative_and_dense_solvers_agree(monkeypatch, kind):
    first, second = random_regular(120, 4, seed=3).weights, random_regular(120, 3, seed=4).weights
    topology = {
        "symmetric": random_regular(120, 4, seed=3),
        "doubly": from_weights(first @ second),
        "column": from_graph(nx.gnp_random_graph(120, 0.1, seed=5, directed=True)),
    }[kind]
    assert topology.stochastic == ("column" if kind == "column" else "doubly")
    assert topology.symmetric == (kind == "symmetric")
    dense = lambda_2(topology)
    monkeypatch.setattr(spectrum, "DENSE_NODES", 0)
    assert lambda_2(topology) == pytest.approx(dense, abs=1e-8)
    assert lambda_2(topology) == lambda_2(topology)  # same start, same answer
    if kind == "symmetric":
        assert second_largest_eigenvalue(topology) == pytest.approx(eigenvalues(topology)[1:].max(), abs=1e-8)


def test_refusals(monkeypatch):
    with pytest.raises(
        InputError, match="got 'exponential' whose W is not symmetric, so its eigenvalues have no order"
    ):
        second_largest_eigenvalue(exponential(8))
    with pytest.raises(InputError, match="got n=1, a second eigenvalue needs two nodes; try n=2"):
        second_largest_eigenvalue(ring(1))
    monkeypatch.setattr(spectrum, "MOST_NODES", 10)
    with pytest.raises(
        InputError, match="got n=12, all eigenvalues need n of at most 10; use lambda_2, which needs only one"
    ):
        eigenvalues(forget_shifts(torus(12)))


def test_eigenvalues_that_crowd_are_refused_where_no_factor_fits(monkeypatch):
    def stuck(*args, **kwargs):
        raise eigensolvers.linalg.ArpackNoConvergence("stuck", np.zeros(0), np.zeros(0))

    monkeypatch.setattr(spectrum, "DENSE_NODES", 0)
    monkeypatch.setattr(eigensolvers.linalg, "eigsh", stuck)
    plain = forget_shifts(torus(12))
    with pytest.raises(InputError, match="got n=12 nodes whose leading eigenvalues lie too close together"):
        lambda_2(plain)
    monkeypatch.setattr(eigensolvers, "MOST_LINKS", 10)
    with pytest.raises(InputError, match="got n=12 nodes and 60 links whose leading eigenvalues lie too close"):
        lambda_2(plain)


def path(n):
    """A chain with Metropolis weights, without its closed form: eigenvalues (1 + 2 cos(pi j / n)) / 3."""
    return from_graph(nx.path_graph(n))


@pytest.mark.parametrize("n", [600, 5000])
def test_a_chain_whose_eigenvalues_crowd_at_one(n):
    # Here Lanczos does not settle, and W - shift I is factored: the gap of 1.3e-7 is right to seven digits.
    high, low = extremes(path(n))
    assert 1 - high == pytest.approx(4 / 3 * np.sin(np.pi / (2 * n)) ** 2, rel=1e-6)
    assert low == pytest.approx((1 + 2 * np.cos(np.pi * (n - 1) / n)) / 3, abs=1e-10)


def test_a_large_graph_takes_a_moment():
    topology = random_regular(5000, 4, seed=1)
    assert 0.85 < lambda_2(topology) < (1 + 2 * np.sqrt(3)) / 5 + 0.01


@pytest.mark.parametrize("make", ["regular", "geometric", "small world"])
def test_sparse_extremes_are_those_of_the_dense_solver(monkeypatch, make):
    topology = {
        "regular": lambda: random_regular(300, 4, seed=3),
        "geometric": lambda: from_graph(nx.random_geometric_graph(300, 0.15, seed=4)),
        "small world": lambda: from_graph(nx.connected_watts_strogatz_graph(300, 4, 0.1, seed=5)),
    }[make]()
    dense = np.sort(np.linalg.eigvalsh(topology.weights.toarray()))
    monkeypatch.setattr(spectrum, "DENSE_NODES", 0)
    np.testing.assert_allclose(extremes(topology), dense[[-2, 0]], rtol=0, atol=1e-9)
    for shifted, expected in ((1 + eigensolvers.BEYOND, dense[-2]), (-1.001, dense[0])):
        assert eigensolvers._beyond(topology.weights, shifted) == pytest.approx(expected, abs=1e-12)


def test_the_closed_form_is_used_and_agrees():
    topology = circulant("five", 700, (1, -1, 7, -7))
    assert extremes(topology) == pytest.approx(extremes(forget_shifts(topology)), abs=1e-9)

    def never():
        raise AssertionError("W was made")

    formula = Topology(
        "formula", never, symmetric=True, groups=np.zeros(10**5, int), spectrum=lambda: np.eye(1, 10**5)[0]
    )
    assert extremes(formula) == (0, 0) and lambda_2(formula) == 0 and spectral_gap(formula) == 1
    # A closed form gives eigenvalues; where W is not normal its norm is another number.
    u, v = np.array([1, 1, -2]) / np.sqrt(6), np.array([1, -1, 0]) / np.sqrt(2)
    skew = from_weights(np.full((3, 3), 1 / 3) + 0.3 * np.outer(u, v))
    told = Topology("told", skew.weights, "doubly", spectrum=lambda: np.array([0.0, 1.0, 0.0]))
    assert lambda_2(told) == pytest.approx(0.3, abs=1e-12)


def test_two_parts_and_a_swap_do_not_contract():
    apart = from_graph(nx.disjoint_union(nx.path_graph(3), nx.path_graph(4)), allow_disconnected=True)
    assert lambda_2(apart) == pytest.approx(1, abs=1e-12)
    assert extremes(from_weights([[0.0, 1.0], [1.0, 0.0]])) == pytest.approx((-1, -1))
