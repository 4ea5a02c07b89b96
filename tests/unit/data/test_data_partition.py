import hashlib
import time

import numpy as np
import pytest

from jdl import checks
from jdl.data import partition
from jdl.data.partition.rules import RULES

LABELS = np.random.default_rng(7).integers(0, 10, 1437).astype(np.int32)
OF_LABELS = ["dirichlet", "iid", "shards"]


def held(split):
    """The examples of each node, without padding."""
    return [row[:count] for row, count in zip(split.indices, split.counts, strict=True)]


def labels_per_node(split):
    return np.mean([np.unique(LABELS[examples]).size for examples in held(split) if examples.size])


def test_rules_are_the_public_names():
    classes = {cls.__name__: cls for cls in RULES.values()}
    assert sorted([*classes, "Partition"]) == sorted(partition.__all__)
    assert all(getattr(partition, name) is cls for name, cls in classes.items())


@pytest.mark.parametrize(
    ("rule", "digest"),
    [("iid", "6f0a958d05999adf"), ("dirichlet", "e3b6a6c757d3f0b6"), ("shards", "65770fa67f2ee0e0")],
)
def test_rules_of_the_first_release_draw_as_they_did(rule, digest):
    # Golden: SHA-256 of what jdl 0.1 drew, when the rules were one file.
    split = RULES[rule]()(LABELS, 20, seed=3)
    assert hashlib.sha256(split.indices.tobytes() + split.counts.tobytes()).hexdigest()[:16] == digest


@pytest.mark.parametrize("rule", OF_LABELS)
@pytest.mark.parametrize("nodes", [1, 7, 700])
def test_every_example_goes_to_one_node(rule, nodes):
    split = RULES[rule]()(LABELS, nodes)
    assert split.indices.dtype == split.counts.dtype == np.int32
    assert split.indices.shape == (nodes, split.counts.max()) and split.counts.shape == (nodes,)
    np.testing.assert_array_equal(np.sort(np.concatenate(held(split))), np.arange(LABELS.size))
    padding = np.arange(split.indices.shape[1]) >= split.counts[:, None]
    assert not split.indices[padding].any()


@pytest.mark.parametrize("rule", OF_LABELS)
def test_same_seed_same_partition(rule):
    one, same, other = (RULES[rule]()(LABELS, 20, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.indices, same.indices)
    assert [r.tolist() for r in held(one)] != [r.tolist() for r in held(other)]


@pytest.mark.parametrize("nodes", [10, 100, 1437, 5000])
def test_iid_sizes_differ_by_at_most_one(nodes):
    counts = partition.IID()(LABELS, nodes).counts
    floor, extra = divmod(LABELS.size, nodes)
    np.testing.assert_array_equal(np.bincount(counts, minlength=floor + 2)[floor : floor + 2], [nodes - extra, extra])


def test_iid_nodes_with_data_are_spread_over_the_ids():
    counts = partition.IID()(LABELS, 14370).counts  # a tenth of the nodes hold one example each
    first_half = counts[:7185].sum()
    assert abs(first_half - 1437 / 2) < 5 * np.sqrt(1437 / 4 * 0.9)


def test_iid_mixes_labels():
    # With five classes of equal size and four nodes of 250, a class count is hypergeometric: mean 50, sd 5.48.
    labels = np.repeat(np.arange(5), 200)
    table = np.array([np.bincount(labels[examples], minlength=5) for examples in held(partition.IID()(labels, 4))])
    sd = np.sqrt(250 * 0.2 * 0.8 * (750 / 999))
    assert np.all(np.abs(table - 50) < 5 * sd) and table.std() > sd / 3


def test_dirichlet_sizes_of_one_class_are_the_rounded_proportions():
    # Dirichlet(alpha) with alpha -> infinity is the equal split, and with one class that is the whole rule.
    counts = partition.Dirichlet(alpha=1e9)(np.zeros(1000, int), 8).counts
    np.testing.assert_array_equal(counts, 125)


def test_dirichlet_proportions_have_the_variance_of_the_law():
    # Var(p_i) = (1/n)(1 - 1/n) / (n alpha + 1); the mean over many independent classes of 10,000 examples.
    nodes, alpha, classes = 4, 0.5, 400
    labels = np.repeat(np.arange(classes), 1000)
    split = partition.Dirichlet(alpha)(labels, nodes)
    shares = np.stack([np.bincount(labels[examples], minlength=classes) / 1000 for examples in held(split)])
    expected = 0.25 * 0.75 / (nodes * alpha + 1)
    squares = (shares - 0.25) ** 2
    error = squares.mean(axis=0).std() / np.sqrt(classes)
    assert abs(squares.mean() - expected) < 5 * error
    assert error < expected / 10  # else the line above says little


def test_dirichlet_takes_examples_and_nodes_in_random_order():
    few = partition.Dirichlet(alpha=1e9)(np.zeros(1000, int), 8)
    assert all(np.ptp(examples) > 500 for examples in held(few))  # not a run of 125
    many = partition.Dirichlet(alpha=1e9)(np.zeros(100, int), 1000)
    assert np.unique(np.diff(np.flatnonzero(many.counts))).size > 5  # not every tenth node


def test_small_alpha_gives_fewer_labels_a_node():
    few, many = (labels_per_node(partition.Dirichlet(alpha=alpha)(LABELS, 20)) for alpha in (0.05, 100))
    assert few < 4 and many > 9.5


def test_dirichlet_serves_thousands_of_nodes():
    start = time.perf_counter()
    split = partition.Dirichlet(alpha=0.05)(LABELS, 4096)
    assert time.perf_counter() - start < 2
    assert split.counts.sum() == LABELS.size and split.counts.min() == 0


@pytest.mark.parametrize("alpha", [1e-300, 1e-3, 1e300])
def test_dirichlet_survives_extreme_concentrations(alpha):
    split = partition.Dirichlet(alpha=alpha)(LABELS, 64)
    np.testing.assert_array_equal(np.sort(np.concatenate(held(split))), np.arange(LABELS.size))


def test_shards_bound_sizes_and_labels():
    labels = np.repeat(np.arange(10), 60)[np.random.default_rng(0).permutation(600)]
    split = partition.Shards(shards_per_node=2)(labels, 30)  # sixty shards of ten: every shard has one label
    np.testing.assert_array_equal(split.counts, 20)
    kinds = [np.unique(labels[examples]).size for examples in held(split)]
    assert max(kinds) == 2
    uneven = partition.Shards(shards_per_node=3)(LABELS, 100).counts  # 1437 / 300 = 4.79
    assert uneven.min() >= 12 and uneven.max() <= 15


def test_refusals_say_what_to_do():
    with pytest.raises(checks.InputError, match=r"got nodes=0, .*at least 1; try nodes=1"):
        partition.IID()(LABELS, 0)
    with pytest.raises(checks.InputError, match=r"got labels of shape \(2, 2\), need one label for each example.*iid"):
        partition.Shards()(np.zeros((2, 2)), 2)
    for alpha in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(checks.InputError, match=r"got alpha=.*above 0; try alpha=0.5"):
            partition.Dirichlet(alpha=alpha)(LABELS, 4)
    with pytest.raises(checks.InputError, match=r"makes 2048 shards of 1437 examples.*try nodes=718, or"):
        partition.Shards()(LABELS, 1024)
    with pytest.raises(checks.InputError, match=r"try shards_per_node=1437"):
        partition.Shards(shards_per_node=2000)(LABELS, 1)
    assert partition.Shards()(LABELS, 718).counts.min() >= 2  # the advice works


@pytest.mark.parametrize("rule", ["dirichlet", "iid"])
def test_too_many_nodes_are_refused_before_anything_is_allocated(rule):
    with pytest.raises(checks.InputError, match=r"got nodes=1000000000000000, which needs about .* GiB"):
        RULES[rule]()(LABELS, 10**15)
