"""Mixing weights by scheme: spectra known in closed form, and what each scheme promises of any graph."""

import time

import networkx as nx
import numpy as np
import pytest
from plan_reading import all_hold
from scipy.sparse import csgraph, csr_array

from jdl.checks import InputError
from jdl.topology import ring
from jdl.topology.topology import circulant, grouped
from jdl.topology.weights.weighted import SCHEMES, from_graph, from_weights, metropolis, weighted

GRAPHS = {
    "path": nx.path_graph(7),
    "star": nx.star_graph(6),
    "one": nx.empty_graph(1),
    "two": nx.path_graph(2),
    "complete": nx.complete_graph(5),
    "random": nx.gnp_random_graph(25, 0.2, seed=3),
    "hubs": nx.barabasi_albert_graph(40, 2, seed=0),
}
DIRECTED = from_graph(nx.gnp_random_graph(20, 0.3, seed=1, directed=True))
UNDIRECTED = ("best_constant", "data_size", "max_degree", "metropolis")


def norm(topology):
    return np.linalg.norm(topology.weights.toarray() - 1 / topology.n, 2)


def laplacian(graph):
    return np.linalg.eigvalsh(nx.laplacian_matrix(graph).toarray().astype(float))


def sums(topology):
    W = topology.weights.toarray()
    return [bool(np.abs(W.sum(axis=axis) - 1).max() < 1e-10) for axis in (1, 0)]


def test_links_are_kept_and_every_claim_is_true():
    def check(name, scheme):
        plain = from_graph(GRAPHS[name])
        sizes = np.arange(1, plain.n + 1) if scheme == "data_size" else None
        made = weighted(plain, scheme, sizes)
        W = made.weights.toarray()
        assert made.name == f"graph, {scheme}"
        np.testing.assert_array_equal(
            made.edges if made.symmetric else np.unique(np.sort(made.edges), axis=0), plain.edges
        )
        assert made.symmetric == np.array_equal(W, W.T)
        assert sums(made) == {"doubly": [True, True], "row": [True, False], "column": [False, True]}[made.stochastic]

    all_hold(check, [(name, scheme) for name in GRAPHS for scheme in SCHEMES if scheme != "fastest"])


def test_star_and_regular_graphs_in_closed_form():
    star = np.sort(np.linalg.eigvalsh(metropolis(GRAPHS["star"]).toarray()))
    assert star[-2] == pytest.approx(1 - 1 / 7, abs=1e-12)  # n = 7
    for scheme in ("metropolis", "max_degree", "row", "uniform", "column", "sinkhorn"):
        made = weighted(from_graph(nx.hypercube_graph(3)), scheme)
        adjacency = nx.to_numpy_array(nx.hypercube_graph(3))
        np.testing.assert_allclose(made.weights.toarray(), (np.eye(8) + adjacency) / 4, rtol=0, atol=1e-12)
        assert made.symmetric and made.stochastic == "doubly"


@pytest.mark.parametrize("name", ["path", "star", "random", "hubs"])
def test_max_degree_has_the_spectrum_of_the_laplacian(name):
    graph = GRAPHS[name]
    values = np.linalg.eigvalsh(weighted(from_graph(graph), "max_degree").weights.toarray())
    most = max(dict(graph.degree).values())
    np.testing.assert_allclose(np.sort(values), np.sort(1 - laplacian(graph) / (1 + most)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["path", "star", "two", "random", "hubs"])
def test_best_constant_has_its_norm_and_no_other_step_is_better(name):
    values = laplacian(GRAPHS[name])
    low, high = values[1], values[-1]
    made = weighted(from_graph(GRAPHS[name]), "best_constant")
    assert norm(made) == pytest.approx((high - low) / (high + low), abs=1e-12)
    for step in np.linspace(0, 2 / high, 50)[1:]:
        assert norm(made) <= max(abs(1 - step * values[1:])) + 1e-12


def test_best_constant_may_be_negative_and_takes_many_nodes():
    assert weighted(from_graph(GRAPHS["star"]), "best_constant").weights.toarray().min() < -0.4  # 1 - 6 * 2 / 8
    n = 20_000
    large = weighted(ring(n), "best_constant")  # a = 1 / (2 - cos(2 pi / n) + 1), n even
    low, high = 2 - 2 * np.cos(2 * np.pi / n), 4.0
    assert large.weights[0, 1] == pytest.approx(2 / (low + high), abs=1e-12)
    assert large.shifts == (1, -1)
    assert np.sort(large.spectrum())[-2] == pytest.approx((high - low) / (high + low), abs=1e-12)


@pytest.mark.parametrize("name", GRAPHS)
def test_lazy_moves_every_eigenvalue_half_way_to_one(name):
    plain = from_graph(GRAPHS[name])
    old, new = (np.linalg.eigvalsh(one.weights.toarray()) for one in (plain, weighted(plain, "lazy")))
    np.testing.assert_allclose(new, (1 + old) / 2, rtol=0, atol=1e-12)


def test_lazy_keeps_kind_shifts_and_closed_form():
    turning = weighted(circulant("turning", 6, (1,)), "lazy")
    assert (turning.stochastic, turning.symmetric, turning.shifts) == ("doubly", False, (1,))
    found = np.linalg.eigvals(turning.weights.toarray())
    assert all(np.abs(found - value).min() < 1e-7 for value in turning.spectrum())
    assert weighted(DIRECTED, "lazy").stochastic == "column"
    groups = weighted(grouped("pairs", np.array([0, 1, 0, 1])), "lazy")
    assert groups.groups is None and groups.weights[0, 2] == 0.25
    np.testing.assert_allclose(np.sort(groups.spectrum()), [0.5, 0.5, 1, 1])


def test_positions_stay_and_circulant_graphs_stay_circulant():
    import dataclasses

    placed = dataclasses.replace(ring(5), positions=np.ones((5, 2)))
    for scheme in ("lazy", "row", "max_degree"):
        made = weighted(placed, scheme)
        assert made.positions is placed.positions and made.shifts == (1, -1)
        values = np.linalg.eigvalsh(made.weights.toarray())
        np.testing.assert_allclose(np.sort(made.spectrum()), values, rtol=0, atol=1e-12)
    assert weighted(placed, "data_size", [1, 2, 3, 4, 5]).shifts is None


def test_directed_schemes_entry_by_entry():
    W, links = DIRECTED.weights.toarray(), DIRECTED.weights.toarray() > 0  # links hold the diagonal too
    np.testing.assert_allclose(weighted(DIRECTED, "row").weights.toarray(), links / links.sum(axis=1, keepdims=True))
    column = weighted(DIRECTED, "column").weights.toarray()
    np.testing.assert_allclose(column, links / links.sum(axis=0, keepdims=True))
    np.testing.assert_allclose(column, W)
    assert weighted(DIRECTED, "uniform").stochastic == "row"


def test_sinkhorn_is_doubly_stochastic_and_a_scaling():
    made = weighted(DIRECTED, "sinkhorn")
    W = made.weights.toarray()
    assert (made.stochastic, made.symmetric) == ("doubly", False)
    np.testing.assert_allclose([W.sum(axis=0), W.sum(axis=1)], 1, rtol=0, atol=2e-12)
    links = DIRECTED.weights.toarray() > 0
    for i, k, j, m in np.random.default_rng(0).integers(0, 20, (4000, 4)):
        if links[i, j] and links[i, m] and links[k, j] and links[k, m]:  # every 2 x 2 minor of r_i c_j is zero
            assert W[i, j] * W[k, m] == pytest.approx(W[i, m] * W[k, j], abs=1e-12)


@pytest.mark.parametrize("name", ["path", "star", "random", "hubs"])
def test_data_size_has_the_sizes_as_its_stationary_distribution(name):
    plain = from_graph(GRAPHS[name], allow_disconnected=True)
    sizes = np.random.default_rng(0).integers(1, 1000, plain.n)
    made = weighted(plain, "data_size", sizes)
    W, pi = made.weights.toarray(), sizes / sizes.sum()
    np.testing.assert_allclose(pi @ W, pi, rtol=0, atol=1e-14)
    np.testing.assert_allclose(pi[:, None] * W, (pi[:, None] * W).T, rtol=0, atol=1e-15)
    assert made.stochastic == "row" and W.min() >= 0
    limit = np.linalg.matrix_power(W, 200_000)
    np.testing.assert_allclose(limit, np.tile(pi, (plain.n, 1)), rtol=0, atol=1e-6)
    even = weighted(plain, "data_size", np.full(plain.n, 7)).weights
    np.testing.assert_allclose(even.toarray(), plain.weights.toarray(), rtol=0, atol=1e-15)


def test_metropolis_of_a_sparse_adjacency_is_that_of_the_graph():
    graph = GRAPHS["hubs"]
    adjacency = nx.to_scipy_sparse_array(graph, range(len(graph)), dtype=int)
    np.testing.assert_array_equal(metropolis(adjacency).toarray(), metropolis(graph).toarray())
    arcs = nx.DiGraph([(0, 1), (1, 2), (2, 0), (0, 2)])
    pairs = [from_graph(arcs), from_graph(nx.to_scipy_sparse_array(arcs, [0, 1, 2]))]
    np.testing.assert_array_equal(*(pair.weights.toarray() for pair in pairs))


def test_metropolis_at_100_000_nodes_takes_a_moment():
    n, node = 100_000, np.arange(100_000)
    ahead = csr_array((np.ones(4 * n), (np.tile(node, 4), np.concatenate([(node + s) % n for s in (1, 7, 50, 999)]))))
    start = time.perf_counter()
    W = metropolis(csr_array(ahead + ahead.T))
    assert time.perf_counter() - start < 5
    assert W.nnz == 9 * n and W[0, 7] == pytest.approx(1 / 9)


def test_from_graph_takes_a_scheme():
    graph = GRAPHS["random"]
    made = from_graph(graph, name="mine", weights="max-degree")
    most = max(dict(graph.degree).values())
    assert made.name == "mine" and made.weights[0, 0] == pytest.approx(1 - graph.degree(0) / (1 + most), abs=1e-12)
    one_way = nx.DiGraph([(0, 1), (1, 2), (2, 0), (0, 2)])
    assert from_graph(one_way, weights="row").stochastic == "row"
    assert from_graph(nx.DiGraph([(0, 1), (1, 0)])).stochastic == "doubly"


ONE_WAY = from_weights([[0.5, 0.5, 0], [0, 0.5, 0.5], [0.5, 0, 0.5]])
TAIL = from_graph(nx.DiGraph([(0, 1), (1, 0), (1, 2)]), allow_disconnected=True)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        *(
            (lambda scheme=scheme: weighted(ONE_WAY, scheme), "got a directed graph, ")
            for scheme in (*UNDIRECTED, "fastest")
        ),
        (lambda: weighted(ONE_WAY, "max_degree"), 'need an undirected one; try scheme "row", "column" or "sinkhorn"'),
        (lambda: weighted(TAIL, "sinkhorn"), 'lie on no cycle, which no doubly stochastic W can use; try scheme "row"'),
        (
            lambda: weighted(ring(4), "metropolitan"),
            "got scheme 'metropolitan', which does not exist; did you mean metr",
        ),
        (lambda: weighted(ring(4), "data_size"), 'got scheme "data_size" without sizes, need the number of examples'),
        (lambda: weighted(ring(4), "lazy", [1, 2, 3, 4]), 'got sizes with scheme "lazy", which does not use them'),
        (lambda: weighted(ring(4), "data_size", [1, 2, 3]), "got sizes of shape (3,), need (4,) for n=4"),
        (lambda: weighted(ring(4), "data_size", [1, 2, 3, 0]), "got sizes that are not all positive"),
        (lambda: from_graph(csr_array(np.eye(4, k=1) * 0.5)), "got an adjacency with entries other than 0 and 1"),
        (lambda: from_graph(csr_array(np.ones((2, 3)))), "got an adjacency of shape (2, 3), need [n, n]"),
        (lambda: metropolis(csr_array(np.eye(4, k=1))), "got a directed graph, Metropolis weights need an undirected"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(InputError) as error:
        make()
    assert sentence in str(error.value)


def test_sinkhorn_agrees_with_strong_components_on_who_has_a_scaling():
    rng = np.random.default_rng(0)
    for _ in range(30):
        links = csr_array((rng.random((6, 6)) < 0.25).astype(float))
        topology = from_graph(links, allow_disconnected=True)
        strong = csgraph.connected_components(links, connection="strong")[1]
        ends = np.argwhere(links.toarray())
        if np.all(strong[ends[:, 0]] == strong[ends[:, 1]]):
            assert weighted(topology, "sinkhorn").stochastic == "doubly"
        else:
            with pytest.raises(InputError):
                weighted(topology, "sinkhorn")
