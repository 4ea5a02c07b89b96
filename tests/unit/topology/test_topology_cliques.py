"""Cliques and bipartite graphs: edges as networkx has them, and no n^2 entries where all are equal."""

import tracemalloc

import networkx as nx
import numpy as np
import pytest
from plan_reading import matrix

from jdl.checks import InputError
from jdl.topology.graphs.bipartite import complete_bipartite
from jdl.topology.graphs.cliques import barbell, caveman, complete, two_cliques
from jdl.topology.graphs.lattices import chain
from jdl.topology.graphs.trees import star
from jdl.topology.spectrum.eigenvalues import lambda_2


def edges_of(graph):
    return sorted(sorted(edge) for edge in graph.edges)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_complete_averages_exactly(n):
    np.testing.assert_array_equal(complete(n).weights.toarray(), np.full((n, n), 1 / n))
    assert lambda_2(complete(n)) == 0
    np.testing.assert_allclose(matrix(complete(n).plan()), np.full((n, n), 1 / n), rtol=0, atol=1e-7)


def test_complete_of_many_nodes_builds_no_pairs():
    tracemalloc.start()
    topology = complete(100_000)
    assert topology.degree[0] == 99_999 and topology.edge_count == 100_000 * 99_999 // 2
    topology.plan("groups")
    assert lambda_2(topology) == 0
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 100 * 8 * 100_000


@pytest.mark.parametrize("n", [2, 3, 8, 9])
def test_two_cliques_are_joined_at_their_first_nodes(n):
    first, second = nx.complete_graph(range(n // 2)), nx.complete_graph(range(n // 2, n))
    expected = nx.compose(first, second)
    expected.add_edge(0, n // 2)
    assert two_cliques(n).edges.tolist() == edges_of(expected)


@pytest.mark.parametrize("n", [4, 8, 30])
def test_two_cliques_lambda_2(n):
    m = n // 2
    expected = (m + np.sqrt(m**2 + 4 * m - 4)) / (2 * (m + 1))
    assert lambda_2(two_cliques(n)) == pytest.approx(expected, abs=1e-12)
    assert np.linalg.norm(two_cliques(n).weights.toarray() - 1 / n, 2) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("size", "path"), [(2, 0), (3, 0), (3, 1), (4, 5)])
def test_barbell(size, path):
    assert barbell(2 * size + path, path).edges.tolist() == edges_of(nx.barbell_graph(size, path))


def test_barbell_of_thirds():
    assert barbell(12).edges.tolist() == edges_of(nx.barbell_graph(4, 4))
    assert barbell(6, path=4).edges.tolist() == chain(6).edges.tolist()
    assert sorted(barbell(9, path=2).degree) == [2, 2, 2, 2, 3, 3, 3, 3, 4]


@pytest.mark.parametrize(("cliques", "size"), [(2, 3), (2, 5), (3, 3), (4, 6)])
def test_caveman(cliques, size):
    expected = nx.connected_caveman_graph(cliques, size)
    assert caveman(cliques * size, size).edges.tolist() == edges_of(expected)


@pytest.mark.parametrize(("left", "right"), [(1, 1), (1, 4), (2, 3), (4, 4), (5, 2)])
def test_complete_bipartite(left, right):
    topology = complete_bipartite(left + right, left)
    assert topology.edges.tolist() == edges_of(nx.complete_bipartite_graph(left, right))


def test_complete_bipartite_by_default_and_as_a_star():
    assert lambda_2(complete_bipartite(10)) == pytest.approx(4 / 6, abs=1e-12)
    np.testing.assert_allclose(
        complete_bipartite(7, 1).weights.toarray(), star(7).weights.toarray(), rtol=0, atol=1e-15
    )


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: complete(2.5), "got n=2.5, need a whole number of at least 1; try n=1"),
        (lambda: complete(10**6).weights, "got the matrix of complete with n=1000000"),
        (lambda: two_cliques(1), "got n=1, two cliques need a whole number of at least 2; try n=2"),
        (lambda: two_cliques(10**6), "got the matrix of two_cliques with n=1000000"),
        (lambda: barbell(1), "got n=1, a barbell needs a whole number of at least 2; try n=2"),
        (lambda: barbell(5, path=4), "got path=4 with n=5, a barbell needs a node at each end; try path=3"),
        (lambda: caveman(13), "got n=13 with size=5, a caveman graph needs at least two full cliques; try n=15"),
        (lambda: caveman(5), "got n=5 with size=5, a caveman graph needs at least two full cliques; try n=10"),
        (lambda: caveman(4, size=2), "got size=2, a caveman graph needs a whole number of at least 3; try size=3"),
        (lambda: complete_bipartite(1), "got n=1, a bipartite graph needs a whole number of at least 2; try n=2"),
        (lambda: complete_bipartite(4, 4), "got left=4 with n=4, a bipartite graph needs two sides; try left=3"),
        (lambda: complete_bipartite(10**7), "got a complete bipartite graph with n=10,000,000, which needs about"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(InputError) as error:
        make()
    assert sentence in str(error.value)
