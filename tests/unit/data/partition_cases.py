"""Data for every rule of a partition, and what tests of the rules share."""

import inspect

import numpy as np

from jdl.data.partition import rules

N = 1200
DRAWN = np.random.default_rng(7)
LABELS = DRAWN.integers(0, 10, N).astype(np.int32)
DATA = {
    "labels": LABELS,
    "features": DRAWN.standard_normal((N, 3, 2)),
    "owners": DRAWN.permutation(np.arange(N) % 400).astype(np.int32),
}
RULES = [name for name in rules.RULES if name != "soft"]  # in which nodes share examples
WITH_MINIMUM = ["dirichlet", "log_normal", "power_law"]
EVEN = ["along_graph", "by_cluster", "dirichlet_per_node", "feature_skew", "iid", "stratified"]


def first_argument(rule):
    return next(iter(inspect.signature(rules.RULES[rule]()).parameters))


def split_by(rule, nodes, data=DATA, seed=0, **options):
    return rules.RULES[rule](**options)(data[first_argument(rule)], nodes, seed=seed)


def held(split):
    return [row[:count] for row, count in zip(split.indices, split.counts, strict=True)]


def histogram(split, labels, classes=None):
    """By a loop, not by jdl's own."""
    classes = classes or int(labels.max()) + 1
    return np.array([np.bincount(labels[examples], minlength=classes) for examples in held(split)])


def is_lawful(split, nodes, examples):
    assert split.indices.dtype == split.counts.dtype == np.int32
    assert split.indices.shape == (nodes, split.counts.max()) and split.counts.shape == (nodes,)
    np.testing.assert_array_equal(np.sort(np.concatenate(held(split))), np.arange(examples))
    padding = np.arange(split.indices.shape[1]) >= split.counts[:, None]
    assert not split.indices[padding].any()
