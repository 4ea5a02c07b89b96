"""A minimum of examples for each node: honoured with few changes, unbiased, or refused."""

import numpy as np
import pytest
from partition_cases import LABELS, WITH_MINIMUM, N, held, is_lawful, split_by

from jdl import checks
from jdl.data import partition
from jdl.data.partition.minimum import with_minimum


@pytest.mark.parametrize("rule", WITH_MINIMUM)
@pytest.mark.parametrize("minimum", [1, 3, 6])
def test_a_minimum_is_honoured_with_few_changes(rule, minimum):
    options = {"dirichlet": {"alpha": 0.1}, "power_law": {"exponent": 1.5}, "log_normal": {"sigma": 2.0}}[rule]
    free, kept = (split_by(rule, 200, minimum=number, **options) for number in (0, minimum))
    is_lawful(kept, 200, N)
    assert free.counts.min() == 0 and kept.counts.min() == minimum
    owners = np.empty((2, N), int)
    for owner, split in zip(owners, (free, kept), strict=True):
        for node, examples in enumerate(held(split)):
            owner[examples] = node
    assert np.sum(owners[0] != owners[1]) == np.maximum(minimum - free.counts, 0).sum()  # none more than are missing
    assert np.all(kept.counts[free.counts >= minimum] <= free.counts[free.counts >= minimum])


def test_a_minimum_that_holds_already_changes_nothing():
    free, kept = (partition.Dirichlet(alpha=50.0, minimum=minimum)(LABELS, 4) for minimum in (0, 10))
    np.testing.assert_array_equal(free.indices, kept.indices)


def test_what_a_minimum_takes_leaves_the_largest_nodes_large():
    labels = np.zeros(60_000, int)
    free, kept = (partition.LogNormal(minimum=minimum)(labels, 10_000).counts for minimum in (0, 2))
    missing = np.maximum(2 - free, 0).sum()
    share = missing / np.maximum(free - 2, 0).sum()  # of what lies above the minimum, expected from each alike
    largest = free.argmax()
    expected = 2 + (free[largest] - 2) * (1 - share)
    assert share < 0.1 and abs(kept[largest] - expected) < 5 * np.sqrt(free[largest] * share)


def test_what_moves_for_a_minimum_is_any_example():
    # Three of ten examples of node 0 go to node 1: each in three draws of ten.
    moved = np.mean(
        [with_minimum(np.zeros(10, int), 2, 3, np.random.default_rng(seed)) for seed in range(1000)], axis=0
    )
    assert np.all(np.abs(moved - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 1000))


@pytest.mark.parametrize("rule", WITH_MINIMUM)
def test_a_minimum_beyond_the_examples_is_refused(rule):
    with pytest.raises(
        checks.InputError, match=r"minimum=13 with nodes=100, which takes 1300.*minimum=12, or nodes=92"
    ):
        split_by(rule, 100, minimum=13)
    assert split_by(rule, 100, minimum=12).counts.tolist() == [12] * 100
    with pytest.raises(checks.InputError, match=r"leave minimum out, or nodes=1200"):
        split_by(rule, 2000, minimum=1)
    with pytest.raises(checks.InputError, match=r"got minimum=-1"):
        split_by(rule, 2, minimum=-1)
