"""Regular, Erdos-Renyi and block graphs: their law over seeds, within five standard deviations of binomial counts."""

import itertools

import networkx as nx
import numpy as np
import pytest

from jdl.checks import InputError
from jdl.topology.graphs import linked
from jdl.topology.graphs.random_graphs import erdos_renyi, pairs_of, random_regular, stochastic_block
from jdl.topology.spectrum.eigenvalues import lambda_2


def links(topology):
    return (topology.weights.toarray() > 0) & ~np.eye(topology.n, dtype=bool)


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
    met = sum(links(random_regular(n, degree, seed)).astype(int) for seed in range(0, 10 * draws, 10))
    share = degree / (n - 1)
    sigma = np.sqrt(draws * share * (1 - share))
    pairs = met[np.triu_indices(n, 1)]
    assert np.abs(pairs - draws * share).max() < 5 * sigma


@pytest.mark.parametrize("make", [erdos_renyi, stochastic_block])
def test_same_seed_same_graph(make):
    first, again, other = make(60, seed=3), make(60, seed=3), make(60, seed=500)
    assert (first.weights != again.weights).nnz == 0
    assert (first.weights != other.weights).nnz > 0
    assert nx.is_connected(nx.from_scipy_sparse_array(first.weights))


@pytest.mark.parametrize("n", [2, 3, 7, 50])
def test_numbers_become_pairs(n):
    every = pairs_of(np.random.default_rng(0), n, 1.0)
    assert sorted(map(tuple, every)) == list(itertools.combinations(range(n), 2))
    assert len(pairs_of(np.random.default_rng(0), n, 0.0)) == 0


def test_pairs_of_many_nodes_are_pairs():
    """4.5e10 pairs: numbers beyond 32 bits, where a rounded square root would show."""
    n = 300_000
    first, second = pairs_of(np.random.default_rng(0), n, 2e-6).T
    assert np.all((first >= 0) & (first < second) & (second < n))
    assert abs(len(first) - 90_000) < 5 * np.sqrt(90_000)
    assert abs(second.mean() / n - 2 / 3) < 5 * np.sqrt(1 / 18 / 90_000)  # density 2 x on [0, 1]: variance 1/18


def test_erdos_renyi_links_every_pair_alike():
    """At degree 15 of n = 40 a graph has a lonely node with probability 40 (1 - p)^39 = 2e-7: nothing is redrawn."""
    draws, n, degree = 200, 40, 15
    p = degree / (n - 1)
    met = sum(links(erdos_renyi(n, degree, seed)).astype(int) for seed in range(draws))
    pairs = met[np.triu_indices(n, 1)]
    assert np.abs(pairs - draws * p).max() < 5.5 * np.sqrt(draws * p * (1 - p))
    total = draws * len(pairs)
    assert abs(pairs.sum() - total * p) < 5 * np.sqrt(total * p * (1 - p))
    # Independent pairs: the number of edges of a draw is binomial. Its variance over 200 draws has a standard
    # deviation of sqrt(2 / 199) of itself.
    counts = [erdos_renyi(n, degree, seed).edge_count for seed in range(draws)]
    assert abs(np.var(counts, ddof=1) / (len(pairs) * p * (1 - p)) - 1) < 5 * np.sqrt(2 / 199)


def test_erdos_renyi_of_every_degree():
    assert erdos_renyi(1).edge_count == 0
    assert erdos_renyi(9, degree=8).edge_count == 36
    drawn = erdos_renyi(2000)
    mean = 2 * np.log(2000)
    assert abs(drawn.degree.mean() - mean) < 5 * np.sqrt(2 * mean / 2000)  # twice a binomial of variance n mean / 2


def test_stochastic_block_densities():
    """Eight of nine fellows and 6 of 30 strangers: a draw is never disconnected in practice."""
    draws, n, blocks, degree, between = 100, 40, 4, 8.0, 6.0
    met = sum(links(stochastic_block(n, blocks, degree, between, seed)).astype(int) for seed in range(draws))
    block = np.repeat(np.arange(4), 10)
    upper = np.triu(np.ones((n, n), bool), 1)
    same = block[:, None] == block[None, :]
    for where, p in ((upper & same, 8 / 9), (upper & ~same, 6 / 30)):
        counts = met[where]
        assert np.abs(counts - draws * p).max() < 5.5 * np.sqrt(draws * p * (1 - p))
        total = draws * where.sum()
        assert abs(counts.sum() - total * p) < 5 * np.sqrt(total * p * (1 - p))


def test_stochastic_block_at_its_ends():
    assert stochastic_block(6, blocks=1, degree=5).edge_count == 15
    assert stochastic_block(12, blocks=3, between=8.0).edge_count == 66  # all within, and all across
    multipartite = stochastic_block(12, blocks=3, degree=0.0, between=8.0)
    assert multipartite.edges.tolist() == sorted(map(list, nx.complete_multipartite_graph(4, 4, 4).edges))
    uneven = stochastic_block(10, blocks=4, degree=1.5, between=1.0, seed=1)
    assert uneven.n == 10


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: random_regular(4), "got degree=4 with n=4, a regular graph needs degree < n; try degree=3"),
        (lambda: random_regular(1), "got degree=4 with n=1, a regular graph needs degree < n; try degree=0"),
        (lambda: random_regular(7, 3), "got degree=3 with n=7, a regular graph needs n * degree even; try n=8"),
        (lambda: random_regular(6, 1), "got degree=1 with n=6, a connected graph needs degree 2 or more; try degree=2"),
        (lambda: random_regular(6, 2, seed=-1), "got seed=-1, need a whole number of at least 0"),
        (lambda: erdos_renyi(0), "got n=0, need a whole number of at least 1; try n=1"),
        (lambda: erdos_renyi(5, degree=5), "got degree=5, need a number between 0.0 and 4.0; try degree="),
        (
            lambda: erdos_renyi(1024, degree=4),
            "got 100 disconnected graphs in a row with n=1024, need a connected one; try degree=10",
        ),
        (lambda: stochastic_block(3), "got blocks=4 with n=3, a block needs at least one node; try blocks=3"),
        (lambda: stochastic_block(8, degree=2), "got degree=2, need a number between 0.0 and 1.0; try degree=1.0"),
        (
            lambda: stochastic_block(8, between=7.0),
            "got between=7.0, need a number between 0.0 and 6.0; try between=1.0",
        ),
        (lambda: stochastic_block(80, between=0.0), "try degree=8, fewer blocks or more between them"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(InputError) as error:
        make()
    assert sentence in str(error.value)


def test_random_regular_gives_up(monkeypatch):
    apart = next(s for s in itertools.count() if not nx.is_connected(nx.random_regular_graph(2, 12, seed=s)))
    monkeypatch.setattr(linked, "DRAWS", 1)
    with pytest.raises(InputError, match=r"got 1 disconnected graphs in a row with n=12.*; try degree=3"):
        random_regular(12, 2, seed=apart)


def test_the_degree_that_a_refusal_names_does():
    assert erdos_renyi(1024, degree=10).n == 1024
    assert erdos_renyi(4096, degree=12).n == 4096
