"""So many classes a node: dealt evenly and in all pairs, or refused with what can be done."""

import numpy as np
import pytest
from partition_cases import LABELS, histogram

from jdl import checks
from jdl.data import partition


@pytest.mark.parametrize(("nodes", "each"), [(50, 1), (50, 3), (13, 7), (5, 10), (33, 9), (4, 3)])
def test_nodes_hold_so_many_classes(nodes, each):
    split = partition.ClassesPerNode(each)(LABELS, nodes, seed=1)
    counts = histogram(split, LABELS)
    assert np.all(np.count_nonzero(counts, axis=1) == each)
    holders = np.count_nonzero(counts, axis=0)
    assert np.ptp(holders) <= 1 and holders.sum() == nodes * each
    for column in counts.T:  # split evenly
        assert np.ptp(column[column > 0]) <= 1


def test_the_larger_classes_have_the_holder_more():
    labels = np.repeat(np.arange(4), [40, 90, 41, 91])
    assert np.count_nonzero(histogram(partition.ClassesPerNode()(labels, 5), labels), axis=0).tolist() == [2, 3, 2, 3]


def test_classes_are_dealt_in_all_pairs():
    # Dealing them in turn would pair each class with few others. 1,000 nodes, 45 pairs, about 22 of each.
    labels = np.arange(20000) % 10
    has = histogram(partition.ClassesPerNode()(labels, 1000), labels) > 0
    together = (has.T.astype(int) @ has)[np.triu_indices(10, 1)]
    assert together.sum() == 1000 and np.all(np.abs(together - 1000 / 45) < 5 * np.sqrt(1000 / 45))


def test_what_classes_cannot_do_is_refused_with_what_can():
    with pytest.raises(
        checks.InputError, match=r"classes_per_node=11, but there are 10 classes; try classes_per_node=10"
    ):
        partition.ClassesPerNode(11)(LABELS, 50)
    with pytest.raises(checks.InputError, match=r"hold 8 classes of 10, and no example is left out; try nodes=5"):
        partition.ClassesPerNode()(LABELS, 4)
    labels = np.repeat(np.arange(4), [100, 100, 100, 6])
    with pytest.raises(checks.InputError, match=r"makes 10 holders of a class of 6 examples.*try nodes=12"):
        partition.ClassesPerNode()(labels, 20)
    partition.ClassesPerNode()(labels, 12)
    labels = np.repeat(np.arange(5), [9, 9, 9, 9, 1])
    with pytest.raises(checks.InputError, match=r"try classes_per_node=1 with nodes=5"):
        partition.ClassesPerNode(3)(labels, 9)
    partition.ClassesPerNode(1)(labels, 5)
