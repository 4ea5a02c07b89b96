"""Partitions of extreme data and numbers, the remedies that sentences name, and what the picture says of ties."""

import inspect
import re

import numpy as np
import pytest

from jdl import checks
from jdl.data import partition
from jdl.data.partition import rules
from jdl.show import partition_picture
from jdl.show import partition_picture as drawing

RULES = [name for name in rules.RULES if name not in ("feature_skew", "soft")]
DRAW = np.random.default_rng(0)
DATA = {
    "far numbers": np.array([-5, 99, 2**40])[DRAW.integers(0, 3, 60)],
    "one class": np.full(50, 7),
    "one example": np.array([3]),
    "names": np.array(["cat", "dog"])[DRAW.integers(0, 2, 60)],
    "objects": np.array(["cat", "dog"], object)[DRAW.integers(0, 2, 60)],
    "all different": np.arange(40),
    "rare": np.r_[np.zeros(60, int), 1, 2],
}


def split_by(rule, labels, nodes, seed=0, **options):
    taken = inspect.signature(rules.RULES[rule]).parameters
    return rules.RULES[rule](**{name: one for name, one in options.items() if name in taken})(labels, nodes, seed=seed)


def every_example_once(split, examples, nodes):
    real = np.arange(split.indices.shape[1]) < split.counts[:, None]
    np.testing.assert_array_equal(np.sort(split.indices[real]), np.arange(examples))
    assert split.counts.shape == (nodes,) and split.indices.shape == (nodes, split.counts.max())


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("labels", DATA.values(), ids=DATA)
def test_every_example_goes_to_one_node_or_the_rule_refuses(rule, labels):
    for nodes in (1, 2, labels.size, 3 * labels.size):
        try:
            split = split_by(rule, labels, nodes, clusters=1)
        except checks.InputError:
            assert rule in ("shards", "classes_per_node", "by_owner")
        else:
            every_example_once(split, labels.size, nodes)


@pytest.mark.parametrize(
    "rule, number",
    [(rule, a) for rule in ("dirichlet", "dirichlet_per_node", "by_cluster") for a in (5e-324, 1e-6, 1e6, 1.7e308)]
    + [("power_law", 1 + 1e-15), ("power_law", 1e300), ("log_normal", 1e6)],
)
def test_extreme_numbers_are_taken(rule, number):
    labels = np.arange(200) % 10
    for nodes in (1, 7, 400):
        split = split_by(rule, labels, nodes, alpha=number, exponent=number, sigma=number, clusters=1)
        every_example_once(split, 200, nodes)


@pytest.mark.parametrize("name, names", [("alpha", RULES[1:]), ("exponent", ["power_law"]), ("sigma", ["log_normal"])])
@pytest.mark.parametrize("value", ["0.5", None, np.array([0.1, 0.2]), float("nan"), float("inf"), -1])
def test_what_is_no_number_is_refused(name, names, value):
    for rule in names:
        if name in inspect.signature(rules.RULES[rule]).parameters:
            with pytest.raises(checks.InputError, match=f"got {name}="):
                split_by(rule, np.arange(20) % 2, 4, **{name: value})


def test_a_spread_too_large_for_sizes_is_refused():
    with pytest.raises(checks.InputError, match=r"got sigma=1.7e\+308, need a finite .* at most 1e\+06; try sigma=1.0"):
        partition.LogNormal(sigma=1.7e308)(np.zeros(10), 4)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", [-1, 0.5, None])
def test_seeds_that_are_none_are_refused(rule, seed):
    with pytest.raises(checks.InputError, match=r"got seed=.*, need a whole number of at least 0; try seed=0"):
        split_by(rule, np.arange(20) % 4, 4, seed=seed)


@pytest.mark.parametrize("rule", ["shards", "classes_per_node", "by_owner", "dirichlet", "power_law"])
def test_what_a_sentence_says_to_try_works(rule):
    draw, tried = np.random.default_rng(1), 0
    for _ in range(200):
        labels, nodes = draw.integers(0, draw.integers(1, 7), draw.integers(1, 40)), int(draw.integers(1, 50))
        options = {name: int(draw.integers(1, 60)) for name in ("shards_per_node", "minimum")}
        options["classes_per_node"] = int(draw.integers(1, 1 + np.unique(labels).size))
        try:
            split_by(rule, labels, nodes, **options)
        except checks.InputError as refusal:
            remedies = re.split(", or |, any", str(refusal).split("; ")[-1])
            for remedy in [one for one in remedies if "=" in one or "leave minimum out" in one]:
                changed = options | {"nodes": nodes} | {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", remedy)}
                if "leave minimum out" in remedy:
                    changed["minimum"] = 0
                split_by(rule, labels, **changed)
                tried += 1
    assert tried > 20


def test_a_tie_is_no_preference_for_the_first_class():
    # Two examples a node, of different classes: each of the ten classes is the main one as often as any other.
    labels = np.stack([np.arange(2000) % 10, (np.arange(2000) + 5) % 10], axis=1).reshape(-1)
    split = partition.Partition(np.arange(4000, dtype=np.int32).reshape(2000, 2), np.full(2000, 2, np.int32))
    counts = partition.report.label_histogram(split, labels)
    main, _, ends = drawing._columns(counts)
    width = np.bincount(main, np.diff(ends), minlength=10)
    assert np.all(np.abs(width - 200) < 5 * np.sqrt(2000 * 0.1 * 0.9))
    np.testing.assert_array_equal(main, drawing._columns(counts)[0])


def test_the_largest_circle_has_its_number():
    split = partition.Partition(np.array([[0, 1], [2, 0]], np.int32), np.array([2, 1], np.int32))
    assert "largest circle: 2" in partition_picture.draw(split, np.zeros(3, int))._suptitle.get_text()
