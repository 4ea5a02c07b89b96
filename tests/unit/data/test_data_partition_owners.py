"""Whole owners for each node, in balance."""

import numpy as np
import pytest
from partition_cases import held

from jdl import checks
from jdl.data import partition


def test_whole_owners_go_to_nodes_and_balance():
    draw = np.random.default_rng(2)
    owners = np.repeat(np.arange(300) * 7 - 50, draw.zipf(2.0, 300).clip(max=200))
    owners = draw.permutation(owners)
    counts = partition.ByOwner()(owners, 12).counts
    nodes_of = {}
    for node, examples in enumerate(held(partition.ByOwner()(owners, 12))):
        for owner in np.unique(owners[examples]):
            assert nodes_of.setdefault(owner, node) == node
    sizes = np.unique(owners, return_counts=True)[1]
    best = max(sizes.max(), -(-sizes.sum() // 12))  # no division does better
    assert best <= counts.max() <= 4 / 3 * best and counts.min() > 0


def test_owners_are_dealt_the_longest_first():
    # Graham's own example, where that is as far from the best, 9, as it can be: 11 (and the shortest first gives 12).
    sizes = [3, 5, 3, 4, 5, 3, 4]
    for seed in range(10):
        assert partition.ByOwner()(np.arange(7).repeat(sizes), 3, seed=seed).counts.max() == 11


def test_owners_of_one_size_meet_any_other():
    partners = {tuple(np.sort(held(partition.ByOwner()(np.arange(6), 3, seed=s))[0])) for s in range(200)}
    assert len(partners) == 15  # all pairs of six


def test_as_many_nodes_as_owners_is_one_each_at_random():
    owners = np.array(["ann", "bob", "cid", "dan", "eve"]).repeat([1, 2, 3, 4, 5])
    seen = set()
    for seed in range(30):
        split = partition.ByOwner()(owners, 5, seed=seed)
        assert sorted(split.counts) == [1, 2, 3, 4, 5]
        seen.add(int(split.counts.argmax()))
    assert seen == set(range(5))


def test_more_nodes_than_owners_is_refused_with_the_number_that_works():
    with pytest.raises(checks.InputError, match=r"got nodes=3 with 2 owners.*try nodes=2, any smaller number"):
        partition.ByOwner()(np.array([4, 4, 9]), 3)
    for bad in (np.zeros((3, 2), int), np.linspace(0, 1, 3)):
        with pytest.raises(checks.InputError, match=r"got owners of shape .*whole number or a name for each example"):
            partition.ByOwner()(bad, 1)
