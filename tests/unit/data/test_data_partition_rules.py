"""Laws of every rule. Bounds are five standard errors of the law named."""

import inspect
import time

import numpy as np
import pytest
from partition_cases import EVEN, RULES, WITH_MINIMUM, N, first_argument, held, is_lawful, split_by

import jdl
from jdl import checks
from jdl.data.partition import rules

MORE_NODES_THAN_EXAMPLES = [*EVEN, *WITH_MINIMUM]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_says_what_it_takes(rule):
    cls = rules.RULES[rule]
    first, *arguments = inspect.signature(cls()).parameters
    assert first in ("labels", "features", "owners") and arguments == ["nodes", "seed"]
    assert ("minimum" in inspect.signature(cls).parameters) == (rule in WITH_MINIMUM)
    assert getattr(jdl.data.partition, cls.__name__) is cls


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("nodes", [1, 7, 300])
def test_every_example_goes_to_one_node(rule, nodes):
    options = {"classes_per_node": 10} if (rule, nodes) == ("classes_per_node", 1) else {}
    options |= {"clusters": 1} if (rule, nodes) == ("by_cluster", 1) else {}
    is_lawful(split_by(rule, nodes, **options), nodes, N)


@pytest.mark.parametrize("rule", MORE_NODES_THAN_EXAMPLES)
def test_more_nodes_than_examples_leave_some_without_data(rule):
    split = split_by(rule, 3000)
    is_lawful(split, 3000, N)
    assert split.counts.min() == 0
    # The empty ones lie anywhere: not in one half (hypergeometric, variance below that of a fair coin for each node).
    empty = split.counts == 0
    assert abs(empty[:1500].sum() - empty.sum() / 2) < 5 * np.sqrt(3000 / 4)


@pytest.mark.parametrize("rule", RULES)
def test_one_example_is_enough(rule):
    data = {"labels": np.array([3]), "features": np.array([[1.0, 2.0]]), "owners": np.array([9])}
    options = {"shards": {"shards_per_node": 1}, "classes_per_node": {"classes_per_node": 1}}
    options["by_cluster"] = {"clusters": 1}
    split = split_by(rule, 1, data, **options.get(rule, {}))
    assert split.indices.tolist() == [[0]] and split.counts.tolist() == [1]


@pytest.mark.parametrize("rule", RULES)
def test_the_seed_names_the_draw(rule):
    one, same, other = (split_by(rule, 20, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.indices, same.indices)
    np.testing.assert_array_equal(one.counts, same.counts)
    assert [examples.tolist() for examples in held(one)] != [examples.tolist() for examples in held(other)]


@pytest.mark.parametrize("rule", EVEN)
def test_even_sizes_differ_by_at_most_one(rule):
    assert set(split_by(rule, 7).counts) <= {171, 172} and split_by(rule, 300).counts.tolist() == [4] * 300


@pytest.mark.parametrize("rule", RULES)
def test_ten_thousand_nodes_are_quick(rule):
    draw = np.random.default_rng(0)
    data = {
        "labels": draw.integers(0, 10, 60_000),
        "features": np.frombuffer(draw.bytes(60_000 * 784), np.uint8).reshape(60_000, 28, 28),
        "owners": draw.integers(0, 20_000, 60_000),
    }
    start = time.perf_counter()
    split_by(rule, 10_000, data)
    assert time.perf_counter() - start < 3  # of a busy machine; each takes a hundredth to half a second alone


@pytest.mark.parametrize("rule", [rule for rule in RULES if first_argument(rule) == "labels"])
def test_what_is_too_large_is_refused_before_anything_is_allocated(rule):
    with pytest.raises(checks.InputError, match=r"got nodes=1000000000000000\b"):
        split_by(rule, 10**15)


@pytest.mark.parametrize("rule", ["iid", "log_normal", "power_law"])
def test_rules_of_sizes_alone_need_no_classes(rule):
    for labels in (np.zeros((50, 7), np.int32), np.linspace(0, 1, 50), np.zeros((50, 2, 2))):
        is_lawful(rules.RULES[rule]()(labels, 6), 6, 50)
    for labels in (np.zeros((0, 3)), 4.0):
        with pytest.raises(checks.InputError, match=r"got labels of shape .*need one row for each example"):
            rules.RULES[rule]()(labels, 6)


OF_CLASSES = [
    "along_graph",
    "by_cluster",
    "classes_per_node",
    "dirichlet",
    "dirichlet_per_node",
    "shards",
    "stratified",
]


@pytest.mark.parametrize("rule", OF_CLASSES)
def test_rules_of_classes_say_which_rules_do_without(rule):
    with pytest.raises(
        checks.InputError, match=r"got labels of shape \(5, 2\).*try the partition iid, power_law or log"
    ):
        rules.RULES[rule]()(np.zeros((5, 2), int), 1)
    with pytest.raises(
        checks.InputError, match=r"got labels of type float64, need classes.*iid, power_law or log_normal"
    ):
        rules.RULES[rule]()(np.linspace(0, 1, 50), 1)
    names = np.array(["cat", "dog"] * 50)
    is_lawful(rules.RULES[rule]()(names, 4), 4, 100)
