"""Small worlds, hubs and places: their defining laws, over fixed seeds."""

import networkx as nx
import numpy as np
import pytest

from jdl.checks import InputError
from jdl.topology.graphs import linked
from jdl.topology.graphs.complex_networks import barabasi_albert, random_geometric, watts_strogatz


@pytest.mark.parametrize("make", [watts_strogatz, barabasi_albert, random_geometric])
def test_same_seed_same_graph(make):
    first, again, other = make(60, seed=3), make(60, seed=3), make(60, seed=500)
    assert (first.weights != again.weights).nnz == 0
    assert (first.weights != other.weights).nnz > 0
    assert nx.is_connected(nx.from_scipy_sparse_array(first.weights))


@pytest.mark.parametrize(("n", "degree"), [(3, 2), (9, 4), (20, 6)])
def test_a_small_world_without_rewiring_is_a_circle(n, degree):
    edges = watts_strogatz(n, degree, rewiring=0.0).edges
    apart = (edges[:, 1] - edges[:, 0]) % n
    assert len(edges) == n * degree // 2
    assert np.minimum(apart, n - apart).max() == degree // 2


def test_a_small_world_moves_its_share_of_edges():
    """20 x 1000 edges, moved one time in ten: the share that stays has a standard deviation of 0.0021."""
    stay = []
    for seed in range(20):
        topology = watts_strogatz(500, degree=4, rewiring=0.1, seed=seed)
        assert topology.edge_count == 1000 and topology.degree.min() >= 2
        apart = (topology.edges[:, 1] - topology.edges[:, 0]) % 500
        stay.append(np.mean(np.minimum(apart, 500 - apart) <= 2))
    # A moved edge may land next door: at most 0.1 * 4 / 500 of all.
    assert abs(np.mean(stay) - 0.9) < 5 * np.sqrt(0.1 * 0.9 / 20_000) + 0.0008


@pytest.mark.parametrize(("n", "degree"), [(2, 1), (30, 1), (30, 2), (30, 7)])
def test_new_nodes_bring_their_links(n, degree):
    edges = barabasi_albert(n, degree, seed=1).edges
    assert len(edges) == degree * (n - degree)
    older = np.bincount(edges[:, 1], minlength=n)  # links of each node to nodes before it
    np.testing.assert_array_equal(older[degree + 1 :], degree)


def test_new_nodes_prefer_hubs():
    """Half of the nodes keep degree 2 where links are drawn by degree, 2 / (degree + 2); a third where uniformly."""
    n = 4000
    degree = barabasi_albert(n, 2, seed=0).degree
    for k in (2, 3, 4):
        share = 2 * 2 * 3 / (k * (k + 1) * (k + 2))
        assert abs(np.mean(degree == k) - share) < 5 * np.sqrt(share * (1 - share) / n)
    assert degree.max() > np.sqrt(n)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("radius", [0.2, 0.35])
def test_all_pairs_within_the_radius_and_no_others(seed, radius):
    topology = random_geometric(80, radius=radius, seed=seed)
    places = topology.positions
    apart = np.sqrt(((places[:, None, :] - places[None, :, :]) ** 2).sum(axis=2))
    near = (apart <= radius) & ~np.eye(80, dtype=bool)
    np.testing.assert_array_equal((topology.weights.toarray() > 0) & ~np.eye(80, dtype=bool), near)
    assert places.min() >= 0 and places.max() <= 1


def test_places_are_those_of_the_draw_that_is_connected():
    """At this radius many draws fall apart, so that places and edges could be from different seeds."""
    for seed in range(5):
        topology = random_geometric(40, radius=0.22, seed=seed)
        ends = topology.positions[topology.edges]
        assert np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1).max() <= 0.22
    firsts = {tuple(random_geometric(40, radius=0.22, seed=seed).positions[0]) for seed in range(5)}
    unseeded = {tuple(np.random.default_rng(seed).random((40, 2))[0]) for seed in range(5)}
    assert firsts != unseeded


def test_random_geometric_degree():
    """In the middle half of the square the border is out of reach."""
    n, degree = 4000, 30.0
    topology = random_geometric(n, degree=degree)
    middle = np.all(np.abs(topology.positions - 0.5) < 0.25, axis=1)
    # Each ordered pair (a, b) with a in the middle is linked with the same p = degree / (n - 1): of 1000 binomials of
    # variance 30, pairwise uncorrelated but for the half of the links that count twice.
    assert abs(topology.degree[middle].mean() - degree) < 5 * np.sqrt(2 * degree / middle.sum())
    assert topology.degree.mean() < degree


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: watts_strogatz(2), "got degree=4 with n=2, a small world needs degree < n; try n=5"),
        (lambda: watts_strogatz(4), "got degree=4 with n=4, a small world needs degree < n; try degree=2"),
        (
            lambda: watts_strogatz(9, degree=3),
            "got degree=3, a small world needs an even degree, half on either side; try degree=2",
        ),
        (lambda: watts_strogatz(9, rewiring=2), "got rewiring=2, need a number between 0.0 and 1.0; try rewiring=0.1"),
        (lambda: barabasi_albert(1), "got degree=2 with n=1, a new node needs as many older ones; try n=3"),
        (lambda: barabasi_albert(2), "got degree=2 with n=2, a new node needs as many older ones; try degree=1"),
        (
            lambda: random_geometric(9, degree=2, radius=0.5),
            "got degree=2 and radius=0.5, which say the same in two ways",
        ),
        (lambda: random_geometric(9, degree=9), "got degree=9, need a number between 0.0 and 8.0; try degree="),
        (
            lambda: random_geometric(400, degree=3),
            "got 100 disconnected graphs in a row with n=400, need a connected one; try degree=18",
        ),
        (lambda: random_geometric(400, radius=0.02), "need a connected one; try radius=0.12"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(InputError) as error:
        make()
    assert sentence in str(error.value)


def test_watts_strogatz_gives_up(monkeypatch):
    apart = next(s for s in range(99) if not nx.is_connected(nx.watts_strogatz_graph(900, 2, 0.9, seed=s)))
    monkeypatch.setattr(linked, "DRAWS", 1)
    with pytest.raises(InputError, match=r"got 1 disconnected graphs in a row with n=900.*; try degree=10"):
        watts_strogatz(900, 2, 0.9, seed=apart)
    assert watts_strogatz(900, 10, 0.9, seed=apart).n == 900


def test_what_a_refusal_names_does():
    assert random_geometric(400, degree=18).n == random_geometric(400, radius=0.12).n == 400
