"""Graphs that are designed for delays: the ring against random rings, the tree against all trees."""

import itertools

import networkx as nx
import numpy as np
import pytest

from jdl import checks, theory, topology


def delays_of(n, seed):
    """Distances of random places, and a part that differs both ways."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, 1, (n, 2))
    return np.linalg.norm(places[:, None] - places[None], axis=-1) + rng.uniform(0.05, 0.1, (n, n))


def ring_through(order, n):
    pairs = zip(order, np.roll(order, -1), strict=True)
    W = np.eye(n) / 2
    for one, after in pairs:
        W[after, one] = 0.5
    return topology.from_weights(W)


@pytest.mark.parametrize("seed", range(4))
def test_a_designed_ring_is_faster_than_random_ones(seed):
    n, rng = 12, np.random.default_rng(seed)
    delays = delays_of(n, seed)
    ring = topology.designed_ring(delays)
    assert ring.degree.tolist() == [1] * n and ring.stochastic == "doubly" and not ring.symmetric
    times = theory.cycle_time(ring, 0.01, delays)
    mean = np.mean([delays[receiver, sender] for sender, receiver in ring.edges])
    np.testing.assert_allclose(times, 0.01 + mean)
    for _ in range(20):
        assert times <= theory.cycle_time(ring_through(rng.permutation(n), n), 0.01, delays)
    back = np.mean([delays[sender, receiver] for sender, receiver in ring.edges])
    assert mean <= back
    both = topology.designed_ring(delays, directed=False)
    assert both.symmetric and both.degree.tolist() == [2] * n


def bottleneck(graph, delays):
    return max(max(delays[i, j], delays[j, i]) for i, j in graph.edges)


@pytest.mark.parametrize("seed", range(3))
def test_the_tree_has_the_least_bottleneck_of_all_trees(seed):
    n = 6
    delays = delays_of(n, seed)
    trees = [nx.from_prufer_sequence(list(code)) for code in itertools.product(range(n), repeat=n - 2)]
    tree = topology.minimum_bottleneck_tree(delays)
    assert tree.edge_count == n - 1
    assert bottleneck(tree, delays) == min(bottleneck(other, delays) for other in trees)
    for degree in (2, 3):
        bound = topology.minimum_bottleneck_tree(delays, degree)
        assert bound.degree.max() <= degree and bound.edge_count == n - 1
        fits = [other for other in trees if max(dict(other.degree).values()) <= degree]
        assert bottleneck(bound, delays) >= min(bottleneck(other, delays) for other in fits)
    hub = np.where(np.eye(n, dtype=bool), 0.0, 9.0) - 8 * (np.add.outer(np.arange(n) == 0, np.arange(n) == 0) == 1)
    assert topology.minimum_bottleneck_tree(hub).degree.tolist() == [n - 1] + [1] * (n - 1)


def test_small_and_wrong_delays():
    one, two = np.zeros((1, 1)), np.array([[0, 2], [1, 0.0]])
    assert [topology.designed_ring(one).n, topology.minimum_bottleneck_tree(one).n] == [1, 1]
    assert (
        topology.designed_ring(two).edges.tolist() == topology.minimum_bottleneck_tree(two).edges.tolist() == [[0, 1]]
    )
    with pytest.raises(checks.InputError, match=r"got delays of shape \(2,\), need \[n, n\]"):
        topology.designed_ring(np.ones(2))
    with pytest.raises(checks.InputError, match=r"got a delay of -1\.0 from node 1 to node 0, need seconds above 0"):
        topology.minimum_bottleneck_tree(np.array([[0, -1], [1, 0]]))
    with pytest.raises(checks.InputError, match="got n=501, a round trip takes n of at most 500"):
        topology.designed_ring(np.ones((501, 501)))
