"""Every graph: its neighbours by their definition, its weights by their sums, and what it refuses."""

import itertools

import networkx as nx
import numpy as np
import pytest

from jdl.checks import InputError
from jdl.topology import (
    Topology,
    circulant,
    complete,
    exponential,
    lambda_2,
    one_peer_exponential,
    random_regular,
    ring,
    torus,
)

GRAPHS = [
    *(make(n) for make, n in itertools.product((ring, complete, exponential), (1, 2, 3, 4, 5, 8, 13))),
    *(torus(n) for n in (9, 12, 30)),
    *(random_regular(n, degree) for n, degree in ((1, 0), (2, 1), (3, 2), (6, 5), (10, 3), (31, 4))),
    *itertools.chain.from_iterable(one_peer_exponential(n) for n in (1, 2, 3, 6, 8)),
]


@pytest.mark.parametrize("topology", GRAPHS, ids=repr)
def test_every_graph_is_what_it_claims(topology):
    W = topology.weights.toarray()
    assert W.shape == (topology.n, topology.n) and topology.kind == "doubly"
    np.testing.assert_allclose(W.sum(axis=0), 1, rtol=0, atol=1e-14)
    np.testing.assert_allclose(W.sum(axis=1), 1, rtol=0, atol=1e-14)
    assert W.min() >= 0
    assert topology.symmetric == np.array_equal(W, W.T)
    links = W * (1 - np.eye(topology.n)) != 0
    np.testing.assert_array_equal(topology.degree, links.sum(axis=1))
    sender, receiver = topology.edges.T
    drawn = np.zeros_like(links)
    drawn[receiver, sender] = True
    np.testing.assert_array_equal(drawn | drawn.T if topology.symmetric else drawn, links)
    assert len(sender) == links.sum() // (2 if topology.symmetric else 1)


@pytest.mark.parametrize("topology", [t for t in GRAPHS if t.shifts is not None], ids=repr)
def test_circulant_graphs_listen_along_their_shifts(topology):
    shift = np.eye(topology.n)
    W = sum((np.roll(shift, s, axis=1) for s in topology.shifts), start=shift) / (len(topology.shifts) + 1)
    np.testing.assert_allclose(topology.weights.toarray(), W, rtol=0, atol=1e-15)


def test_receiver_comes_first():
    W = exponential(8).weights.toarray()
    assert set(np.flatnonzero(W[0])) == {0, 1, 2, 4}
    assert set(np.flatnonzero(W[:, 0])) == {0, 7, 6, 4}


def test_ring_of_one_and_two():
    np.testing.assert_array_equal(ring(1).weights.toarray(), [[1]])
    np.testing.assert_array_equal(ring(2).weights.toarray(), [[0.5, 0.5], [0.5, 0.5]])
    assert len(ring(2).edges) == 1 and len(ring(1).edges) == 0
    np.testing.assert_array_equal(ring(3).weights.toarray(), complete(3).weights.toarray())


@pytest.mark.parametrize(
    ("n", "rows", "shape"), [(12, None, (3, 4)), (36, None, (6, 6)), (30, 3, (3, 10)), (9, 3, (3, 3))]
)
def test_torus_neighbours(n, rows, shape):
    W = torus(n, rows).weights.toarray()
    expected = np.zeros((n, n))
    for i in range(n):
        row, column = divmod(i, shape[1])
        for down, right in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)):
            expected[i, (row + down) % shape[0] * shape[1] + (column + right) % shape[1]] = 1 / 5
    np.testing.assert_allclose(W, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("seed", range(5))
def test_random_regular_is_simple_connected_and_repeats(seed):
    topology = random_regular(50, degree=3, seed=seed)
    assert set(topology.degree) == {3} and len(topology.edges) == 75
    assert nx.is_connected(nx.from_scipy_sparse_array(topology.weights))
    again, other = random_regular(50, degree=3, seed=seed), random_regular(50, degree=3, seed=seed + 1)
    assert (again.weights != topology.weights).nnz == 0
    assert (other.weights != topology.weights).nnz > 0


def test_random_regular_draws_again_until_connected():
    apart = next(s for s in itertools.count() if not nx.is_connected(nx.random_regular_graph(2, 12, seed=s)))
    drawn = random_regular(12, degree=2, seed=apart)
    assert lambda_2(drawn) == pytest.approx((1 + 2 * np.cos(2 * np.pi / 12)) / 3, abs=1e-12)  # a ring, renamed


def test_random_regular_pairs_are_equally_likely():
    draws, n, degree = 400, 8, 3
    met = sum((random_regular(n, degree, seed).weights.toarray() > 0).astype(int) for seed in range(0, 10 * draws, 10))
    share = degree / (n - 1)
    sigma = np.sqrt(draws * share * (1 - share))
    pairs = met[np.triu_indices(n, 1)]
    assert np.abs(pairs - draws * share).max() < 5 * sigma


@pytest.mark.parametrize("tau", range(5))
def test_one_peer_exponential_averages_exactly_in_a_period(tau):
    n = 2**tau
    phases = one_peer_exponential(n)
    assert len(phases) == max(1, tau)
    product = np.eye(n)
    for phase in phases:
        assert set(phase.degree) == ({1} if n > 1 else {0})
        product = phase.weights.toarray() @ product
    np.testing.assert_allclose(product, np.full((n, n), 1 / n), rtol=0, atol=1e-12)


def test_one_peer_exponential_is_not_exact_elsewhere():
    product = np.linalg.multi_dot([phase.weights.toarray() for phase in one_peer_exponential(6)])
    assert np.abs(product - 1 / 6).max() > 0.01


def test_repr_tells_what_it_is():
    assert repr(ring(1)) == "<ring: 1 node, 0 edges, degree 0, doubly stochastic, symmetric>"
    assert repr(exponential(4)) == "<exponential: 4 nodes, 8 directed links, degree 2, doubly stochastic>"
    assert isinstance(ring(4), Topology)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ring(0), "got n=0, need a whole number of at least 1; try n=1"),
        (lambda: complete(2.5), "got n=2.5, need a whole number of at least 1; try n=1"),
        (lambda: exponential(-3), "got n=-3, need"),
        (lambda: one_peer_exponential(0), "got n=0, need"),
        (lambda: complete(10**7), "got a complete graph with n=10000000, which needs about"),
        (lambda: torus(1), "got n=1, a torus needs rows x columns of at least 3 x 3; try n=9"),
        (lambda: torus(2), "got n=2, a torus needs rows x columns of at least 3 x 3; try n=9"),
        (lambda: torus(13), "got n=13, a torus needs rows x columns of at least 3 x 3; try n=12"),
        (lambda: torus(14), "got n=14, a torus needs rows x columns of at least 3 x 3; try n=15"),
        (lambda: torus(12, rows=2), "got rows=2, a torus needs a whole number of at least 3; try rows=3"),
        (lambda: torus(13, rows=4), "got n=13 with rows=4, a torus needs at least 3 full columns; try n=12"),
        (lambda: torus(8, rows=4), "got n=8 with rows=4, a torus needs at least 3 full columns; try n=12"),
        (lambda: random_regular(4), "got degree=4 with n=4, a regular graph needs degree < n; try degree=3"),
        (lambda: random_regular(1), "got degree=4 with n=1, a regular graph needs degree < n; try degree=0"),
        (lambda: random_regular(7, 3), "got degree=3 with n=7, a regular graph needs n * degree even; try n=8"),
        (lambda: random_regular(6, 1), "got degree=1 with n=6, a connected graph needs degree 2 or more; try degree=2"),
        (lambda: random_regular(6, 2, seed=-1), "got seed=-1, need a whole number of at least 0"),
        (lambda: circulant("twice", 5, (1, 6)), r"got shifts=(1, 6), need shifts that differ from each other"),
        (lambda: circulant("self", 5, (5,)), r"and from 0 modulo n=5; leave some out"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(InputError) as error:
        make()
    assert sentence in str(error.value)
