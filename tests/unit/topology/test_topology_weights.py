"""Metropolis weights, and graphs and matrices of one's own."""

import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from scipy.sparse import coo_matrix, csr_array

from jdl.checks import InputError
from jdl.topology import check_weights, from_graph, from_weights, metropolis, ring


@pytest.mark.parametrize("seed", range(3))
def test_metropolis_entry_by_entry(seed):
    graph = nx.gnp_random_graph(12, 0.3, seed=seed)
    W = metropolis(graph).toarray()
    degree = dict(graph.degree)
    for i in range(12):
        for j in range(12):
            if i != j:
                expected = 1 / (1 + max(degree[i], degree[j])) if graph.has_edge(i, j) else 0
                assert W[i, j] == pytest.approx(expected, abs=1e-15)
    np.testing.assert_allclose(W.sum(axis=1), 1, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(W, W.T)
    assert W.min() >= 0


def test_rows_follow_labels_not_insertion():
    graph = nx.Graph([(2, 1), (1, 0)])
    np.testing.assert_allclose(metropolis(graph).toarray()[2], [0, 1 / 3, 2 / 3], rtol=0, atol=1e-15)
    words = from_graph(nx.Graph([("b", "a"), ("a", "c")]))  # rows: b, a, c
    np.testing.assert_array_equal(words.degree, [1, 2, 1])


def test_self_loops_parallel_edges_and_edge_weights_do_not_count():
    plain = metropolis(nx.path_graph(3)).toarray()
    odd = nx.MultiGraph([(0, 1), (0, 1), (1, 2), (1, 1)])
    nx.set_edge_attributes(odd, 7.0, "weight")
    np.testing.assert_array_equal(metropolis(odd).toarray(), plain)
    np.testing.assert_array_equal(from_graph(odd).weights.toarray(), plain)


def test_directed_graph_splits_mass_over_out_links():
    topology = from_graph(nx.DiGraph([(0, 1), (0, 2), (1, 2), (2, 0)]), name="mine")
    expected = [[1 / 3, 0, 1 / 2], [1 / 3, 1 / 2, 0], [1 / 3, 1 / 2, 1 / 2]]
    np.testing.assert_allclose(topology.weights.toarray(), expected, rtol=0, atol=1e-15)
    assert (topology.name, topology.stochastic, topology.symmetric) == ("mine", "column", False)


@pytest.mark.parametrize("wrap", [np.array, csr_array, coo_matrix, jnp.array, lambda W: W.tolist()])
def test_weights_come_in_any_container(wrap):
    W = np.array([[0.5, 0.5, 0.0], [0.5, 0.25, 0.25], [0.0, 0.25, 0.75]])
    topology = from_weights(wrap(W), name="mine")
    np.testing.assert_array_equal(topology.weights.toarray(), W)
    assert topology.symmetric and topology.stochastic == "doubly" and topology.weights.dtype == np.float64


def test_kind_is_the_claim_and_symmetry_is_found():
    row = [[0.5, 0.5], [0.25, 0.75]]
    assert from_weights(row, stochastic="row").stochastic == "row"
    assert from_weights(np.transpose(row), stochastic="column").stochastic == "column"
    turning = np.roll(np.eye(3), 1, axis=1)
    assert not from_weights((turning + np.eye(3)) / 2).symmetric
    assert (
        from_weights(np.full((2, 2), 0.5), stochastic="row").stochastic == "doubly"
    )  # symmetric, so columns sum to one too


def test_rounding_is_forgiven_by_dtype_and_symmetry_made_exact():
    W = ring(7).weights.toarray()
    W[0, 1] += 1e-12
    topology = from_weights(W)
    assert topology.symmetric and (topology.weights != topology.weights.T).nnz == 0
    check_weights((ring(7).weights.toarray() * (1 + 1e-5)).astype(np.float32))
    with pytest.raises(InputError):
        check_weights(ring(7).weights.toarray() * (1 + 1e-5))


def test_the_callers_matrix_is_left_alone():
    W = csr_array((np.array([1.0, 0.0, 1.0]), ([0, 0, 1], [0, 1, 1])), shape=(2, 2))
    from_weights(W, allow_disconnected=True)
    assert W.nnz == 3


def test_disconnected_graphs_on_request():
    topology = from_graph(nx.empty_graph(2), allow_disconnected=True)
    np.testing.assert_array_equal(topology.weights.toarray(), np.eye(2))
    np.testing.assert_array_equal(from_weights(np.eye(3), allow_disconnected=True).weights.toarray(), np.eye(3))
    assert from_graph(nx.empty_graph(1)).n == 1


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: check_weights([[0.5, 0.5], [0.25, 0.75]]),
            'got W with column 0 summing to 0.75, need row and column sums of 1 for stochastic="doubly"; try '
            'stochastic="row"',
        ),
        (
            lambda: check_weights([[0.5, 0.5], [0.25, 0.75]], stochastic="column"),
            'got W with column 0 summing to 0.75, need column sums of 1 for stochastic="column"; try '
            'stochastic="row", which fits',
        ),
        (
            lambda: from_weights([[0.5, 0.25], [0.5, 0.75]], stochastic="row"),
            'got W with row 0 summing to 0.75, need row sums of 1 for stochastic="row"; try '
            'stochastic="column", which fits',
        ),
        (
            lambda: check_weights([[1, 1], [1, 3]]),
            'got W with row 1 summing to 4, need row and column sums of 1 for stochastic="doubly"; try '
            "metropolis(graph), or",
        ),
        (lambda: check_weights([[np.nan, 1], [1, 0]]), "got W with row 0 summing to nan"),
        (lambda: check_weights(np.ones((2, 3))), "got W of shape (2, 3), need a square matrix [n, n]; pass one row"),
        (lambda: check_weights(np.ones(3)), "got W of shape (3,), need a square matrix"),
        (lambda: check_weights(np.ones((0, 0))), "got W of shape (0, 0), need a square matrix"),
        (
            lambda: check_weights(np.eye(2), stochastic="triply"),
            "got stochastic 'triply', which does not exist; did you mean",
        ),
        (
            lambda: from_weights(np.eye(3)),
            "got a graph of 3 components, need a (strongly) connected one; link them, or",
        ),
        (lambda: from_graph(nx.Graph([(0, 1), (2, 3)])), "got a graph of 2 components, need"),
        (lambda: from_graph(nx.DiGraph([(0, 1), (1, 2)])), "got a graph of 3 components, need"),
        (lambda: from_graph(nx.empty_graph(0)), "got a graph without nodes, need at least one; add some"),
        (
            lambda: from_graph(np.eye(3)),
            "got a ndarray, need a networkx graph or a sparse adjacency; for a matrix of weights use",
        ),
        (
            lambda: metropolis(nx.DiGraph([(0, 1)])),
            "got a directed graph, Metropolis weights need an undirected one; try",
        ),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(InputError) as error:
        make()
    assert sentence in str(error.value)
