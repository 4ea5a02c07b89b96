"""Graphs and matrices as Python users hold them: accepted where they can mean one thing only, else a sentence."""

import networkx as nx
import numpy as np
import pytest
from scipy import sparse

from jdl import checks, topology
from jdl.topology.weights.given import as_topologies

W = topology.ring(4).weights.toarray()
PAIRS = np.kron(np.eye(2), np.full((2, 2), 0.5))
ACROSS = PAIRS[[0, 2, 1, 3]][:, [0, 2, 1, 3]]
CYCLE = nx.cycle_graph(4)


@pytest.mark.parametrize(
    "one", [CYCLE, W, W.tolist(), sparse.csr_matrix(W), sparse.coo_array(W), W.astype(np.float32), topology.ring(4)]
)
def test_one_graph_or_matrix_is_a_topology(one):
    np.testing.assert_allclose(as_topologies(one).weights.toarray(), W, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("several", "expected"),
    [
        ([CYCLE, nx.cycle_graph(4)], [W, W]),
        ((PAIRS, ACROSS), [PAIRS, ACROSS]),
        (np.stack([PAIRS, ACROSS]), [PAIRS, ACROSS]),
        (np.stack([PAIRS, ACROSS]).tolist(), [PAIRS, ACROSS]),
        ([topology.ring(4), sparse.csr_array(PAIRS), CYCLE], [W, PAIRS, W]),
    ],
)
def test_several_are_one_a_round(several, expected):
    found = as_topologies(several)
    assert len(found) == len(expected)
    for one, matrix in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.weights.toarray(), matrix, rtol=0, atol=1e-15)


@pytest.mark.parametrize("none", ["ring", {0: [1]}, [], [["a"]], np.array([[None]]), [1, 2], 3, [CYCLE, "ring"]])
def test_what_is_no_graph_is_none(none):
    assert as_topologies(none) is None


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([PAIRS, PAIRS], "got a graph of 2 components"),
        ([topology.ring(4), topology.ring(5)], "got topologies of n=4 and n=5"),
        (2 * W, "row 0 summing to 2"),
        ([W, 2 * W], "row 0 summing to 2"),
        (W[:3], r"got W of shape \(3, 4\)"),
    ],
)
def test_what_does_not_fit_is_a_sentence(given, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        as_topologies(given)


def test_weights_of_a_networkx_graph_are_used_or_said_not_to_be():
    graph = nx.Graph()
    graph.add_weighted_edges_from([("b", "a", 0.25), ("a", "c", 0.5)])
    with pytest.warns(checks.Note, match="in the order b, a, c"):
        found = topology.from_graph(graph)
    np.testing.assert_array_equal(found.weights.toarray(), [[0.75, 0.25, 0], [0.25, 0.25, 0.5], [0, 0.5, 0.5]])
    club = nx.karate_club_graph()
    with pytest.warns(checks.Note, match="not used, since those of a node sum to 48"):
        found = topology.from_graph(club)
    np.testing.assert_array_equal(
        found.weights.toarray(), topology.from_graph(club, weights="metropolis").weights.toarray()
    )
    graph.add_edge("c", "d")
    with pytest.raises(checks.InputError, match="a weight on 2 of its 3 edges"):
        topology.from_graph(graph)


def test_weights_of_a_directed_graph_keep_the_mass_of_one_side():
    arcs = nx.DiGraph()
    arcs.add_weighted_edges_from([(0, 1, 0.5), (1, 2, 0.25), (2, 0, 1.0)])  # u sends to v
    found = topology.from_graph(arcs)
    np.testing.assert_array_equal(found.weights.toarray(), [[0, 0, 1], [0.5, 0.5, 0], [0, 0.25, 0.75]])
    assert found.stochastic == "row"
    arcs.add_weighted_edges_from([(2, 1, 0.75), (2, 0, 0.25)])  # node 1 hears 1.25, every node says 1 at most
    found = topology.from_graph(arcs)
    np.testing.assert_array_equal(found.weights.toarray(), [[0.5, 0, 0.25], [0.5, 0.75, 0.75], [0, 0.25, 0]])
    assert found.stochastic == "column"


def test_to_dense_takes_a_topology():
    np.testing.assert_allclose(topology.to_dense(topology.ring(3)), np.full((3, 3), 1 / 3), rtol=1e-6)
    np.testing.assert_allclose(topology.to_dense(topology.complete(3)), np.full((3, 3), 1 / 3), rtol=1e-6)
    with pytest.raises(checks.InputError, match="got a list, need a Plan or a Topology"):
        topology.to_dense([topology.ring(8)])
