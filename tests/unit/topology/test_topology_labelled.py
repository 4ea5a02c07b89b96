"""Graphs from label histograms: who is linked, by brute force, and what is added so that they are connected."""

import networkx as nx
import numpy as np
import pytest

from jdl import checks, topology

N, CLASSES = 15, 4
COUNTS = np.random.default_rng(0).integers(0, 30, (N, CLASSES))


def distance_of(p, q, kind):
    p, q = p / p.sum(), q / q.sum()
    return abs(p - q).sum() / 2 if kind == "total_variation" else np.sqrt(sum((np.sqrt(p) - np.sqrt(q)) ** 2) / 2)


def test_nodes_choose_the_farthest_or_nearest_by_brute_force():
    for kind in ("total_variation", "hellinger"):
        apart = np.array([[distance_of(p, q, kind) for q in COUNTS] for p in COUNTS])
        for farthest in (True, False):
            for k in (1, 3, N - 1):
                graph = topology.label_neighbours(COUNTS, k, farthest, kind, connect=False)
                expected = set()
                for i in range(N):
                    others = sorted((j for j in range(N) if j != i), key=lambda j: apart[i, j], reverse=farthest)
                    expected |= {(min(i, j), max(i, j)) for j in others[:k]}
                assert {tuple(pair) for pair in graph.edges.tolist()} == expected
                assert graph.symmetric and graph.stochastic == "doubly" and graph.degree.min() >= k


def test_components_are_joined_by_a_tree_of_least_cost():
    sure = 0.9 * np.eye(5)[np.repeat(np.arange(5), 4)] + 0.1 / 5  # five groups of four
    shares = sure + np.random.default_rng(1).uniform(0, 0.02, sure.shape)
    apart_graph = topology.label_neighbours(shares, 2, farthest=False, connect=False)
    graph = topology.label_neighbours(shares, 2, farthest=False)
    before, after = (nx.from_edgelist(one.edges.tolist()) for one in (apart_graph, graph))
    parts = list(nx.connected_components(before))
    assert len(parts) > 1 and nx.is_connected(after)
    added = set(map(tuple, graph.edges.tolist())) - set(map(tuple, apart_graph.edges.tolist()))
    assert len(added) == len(parts) - 1
    of = {node: number for number, part in enumerate(parts) for node in part}
    between = nx.Graph()
    for i in range(len(shares)):
        for j in range(i):
            weight = distance_of(shares[i], shares[j], "total_variation")
            if of[i] != of[j] and weight < between.get_edge_data(of[i], of[j], {"weight": 9})["weight"]:
                between.add_edge(of[i], of[j], weight=weight)
    least = nx.minimum_spanning_tree(between).size("weight")
    total = sum(distance_of(shares[i], shares[j], "total_variation") for i, j in added)
    np.testing.assert_allclose(total, least)


def test_equal_nodes_make_a_circulant_graph_and_small_and_wrong_input():
    assert topology.label_neighbours(np.ones((8, 2)), 2).degree.tolist() == [4] * 8
    assert topology.label_neighbours([[3, 4]], 1).edge_count == 0
    empty = topology.label_neighbours([[4, 0], [0, 4], [0, 0]], 1, farthest=True, connect=False)
    assert empty.edges.tolist() == [[0, 1], [0, 2]]  # of two that are as far, node 2 chooses the next number, 0
    with pytest.raises(checks.InputError, match="got k=3 with n=3, need at most n - 1 others; try k=2"):
        topology.label_neighbours(np.ones((3, 2)))
    with pytest.raises(checks.InputError, match=r"got histograms of shape \(3,\), need \[n, classes\]"):
        topology.label_neighbours(np.ones(3))
    with pytest.raises(checks.InputError, match="got histograms with negative or missing numbers"):
        topology.label_neighbours([[1, -1], [1, 1]])
