"""Liars at chosen places: where the graph is weakest, at its hubs, at every node, and one mind under many names."""

import networkx as nx
import numpy as np
import pytest

import jdl
from jdl import checks, roles, topology


def liars(of):
    return np.flatnonzero(~np.asarray(of.honest)).tolist()


def test_hubs_are_the_nodes_of_highest_degree():
    graph = topology.from_graph(nx.Graph([(0, 1), (1, 2), (2, 3), (2, 4), (4, 5), (4, 6)]))
    assert [liars(roles.hubs(graph, count)) for count in (1, 2, 3, 4)] == [[2], [2, 4], [1, 2, 4], [0, 1, 2, 4]]


def test_the_bridge_of_two_cliques_then_its_neighbours():
    bridge = topology.two_cliques(12)
    assert liars(roles.at_cut(bridge, 2)) == [0, 6] and liars(roles.at_cut(bridge, 4)) == [0, 1, 2, 6]
    barbell = topology.barbell(12, path=4)
    (one, other) = liars(roles.at_cut(barbell, 2))
    assert other == one + 1 and 3 <= one <= 7


@pytest.mark.parametrize("seed", range(4))
def test_the_ends_are_those_of_a_smallest_cut(seed):
    """By brute force over all ways to divide the nodes in two."""
    graph = nx.connected_watts_strogatz_graph(9, 4, 0.7, seed=seed)
    edges = np.array(graph.edges)
    sides = np.arange(1, 2**8)[:, None] >> np.arange(9) & 1
    cut = sides[:, edges[:, 0]] != sides[:, edges[:, 1]]
    smallest = cut[cut.sum(axis=1) == cut.sum(axis=1).min()]
    found = []
    for links in smallest:
        times = np.bincount(edges[links].ravel(), minlength=9)
        found.append(sorted(np.lexsort((np.arange(9), -times))[:2].tolist()))
    assert liars(roles.at_cut(topology.from_graph(graph), 2)) in found


@pytest.mark.parametrize("shared", [True, False])
def test_as_many_liars_at_every_honest_node(shared):
    graph = topology.attached(topology.barbell(9), 3, shared=shared)
    W, n = graph.weights.toarray(), 9
    assert graph.n == (12 if shared else 36) and graph.symmetric
    linked = (W != 0) & ~np.eye(graph.n, dtype=bool)
    np.testing.assert_array_equal(linked[:n, n:].sum(axis=1), 3)
    np.testing.assert_array_equal(linked[n:, :n].sum(axis=1), 9 if shared else 1)
    assert not linked[n:, n:].any()
    np.testing.assert_array_equal(linked[:n, :n], (topology.barbell(9).weights.toarray() != 0) & ~np.eye(n, dtype=bool))
    if not shared:
        assert np.all(linked[4, n + 12 : n + 15])


def test_a_mind_has_as_many_names_as_asked_for():
    drawn = roles.sybils(20, names=4, minds=3, seed=1)
    group, honest = np.asarray(drawn.group), np.asarray(drawn.honest)
    assert np.bincount(group).tolist() == [8, 4, 4, 4] and np.array_equal(honest, group == 0)
    assert not np.array_equal(group, roles.sybils(20, names=4, minds=3, seed=2).group)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: roles.hubs(topology.ring(4), 4), "got count=4 for 4 nodes, need an honest one; try count=3"),
        (lambda: roles.at_cut(topology.ring(4), 0), "got count=0, need a whole number of at least 1"),
        (lambda: roles.sybils(6, names=3, minds=2), "got names=3 of each of minds=2 among 6 nodes, .*; try n=7"),
        (lambda: topology.attached(topology.exponential(8)), "got the directed graph exponential, need an undirected"),
        (
            lambda: roles.at_cut(jdl.topology.from_graph(nx.Graph([(0, 1), (2, 3)]), "pairs", allow_disconnected=True)),
            "got pairs, a graph of 2 parts, need a connected one",
        ),
    ],
)
def test_what_has_no_such_place_is_refused(make, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        make()
