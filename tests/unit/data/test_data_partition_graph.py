"""Labels laid out along a graph, the worst case for gossip."""

import numpy as np
import pytest
from partition_cases import LABELS, held, histogram

from jdl import checks
from jdl.data import partition


def test_labels_lie_along_the_graph():
    order = np.random.default_rng(0).permutation(50)
    for path in (None, order):
        split = partition.AlongGraph(path)(LABELS, 50)
        along = [LABELS[held(split)[node]] for node in (range(50) if path is None else path)]
        np.testing.assert_array_equal(np.concatenate([np.sort(labels) for labels in along]), np.sort(LABELS))
    one_label = partition.AlongGraph()(np.zeros(1000, int), 10)
    assert all(np.ptp(examples) > 500 for examples in held(one_label))  # within a label at random


def test_a_ring_of_sorted_labels_is_the_worst_for_gossip():
    # Rounds of averaging over a ring of 60 that bring labels to a tenth of their variance between nodes.
    labels = np.arange(6000) % 6
    walk = (np.eye(60) + np.roll(np.eye(60), 1, 0) + np.roll(np.eye(60), -1, 0)) / 3

    def rounds(split):
        shares = histogram(split, labels) / 100 - 1 / 6
        first, t = np.sum(shares**2), 0
        while np.sum(shares**2) > first / 10:
            shares, t = walk @ shares, t + 1
        return t

    dealt = partition.Shards(shards_per_node=1)(labels, 60)
    assert rounds(partition.AlongGraph()(labels, 60)) > 5 * rounds(dealt)


def test_an_order_is_a_permutation():
    for bad in (np.arange(4), np.array([0, 1, 1]), np.array([0.0, 1.0, 2.0]), np.array([1, 2, 3])):
        with pytest.raises(checks.InputError, match=r"got an order of shape .*each of the ids 0 to 2 once"):
            partition.AlongGraph(bad)(LABELS, 3)
