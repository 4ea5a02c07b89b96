"""Skew in features: neighbours along the leading principal direction, found in one pass over the data a step."""

import time
import tracemalloc

import numpy as np
import pytest
from partition_cases import held, histogram

from jdl import checks
from jdl.data import partition
from jdl.data.partition import feature


def test_nodes_hold_neighbours_along_the_leading_direction():
    # Against NumPy's SVD; the second direction has half the deviation of the first.
    draw = np.random.default_rng(1)
    rotation = np.linalg.qr(draw.standard_normal((8, 8)))[0]
    features = (draw.standard_normal((2000, 8)) * [2, 1, 1, 1, 0.5, 0.5, 0.1, 0.1]) @ rotation + 50
    line = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)[2][0]
    place = np.argsort(np.argsort(features @ line)) // 100
    split = partition.FeatureSkew()(features.reshape(2000, 2, 4), 20)
    own = [np.unique(place[examples], return_counts=True) for examples in held(split)]
    assert np.mean([counts.max() for _, counts in own]) > 97  # of 100: two directions of 32 and 64 bits
    assert len({int(kinds[counts.argmax()]) for kinds, counts in own}) == 20
    ids = [int(kinds[counts.argmax()]) for kinds, counts in own]
    assert ids != sorted(ids) and ids != sorted(ids)[::-1]  # nodes are not laid out along the line


def found(features):
    """The direction and the number of passes over the data that it took."""
    flat, passes = features.reshape(len(features), -1), []
    mean, unit = feature._mean_and_unit(flat)
    blocks = lambda: passes.append(1) or feature._centred(flat, mean, unit)
    return feature._leading_direction(blocks, flat.shape[1]).astype(np.float64), len(passes)


@pytest.mark.parametrize("block", [1, 50, 2**18])
@pytest.mark.parametrize("second", [0.5, 0.85, 0.99])
def test_a_direction_that_stands_out_is_found_within_the_bound(monkeypatch, second, block):
    # Davis and Kahan: a residual of 0.001 of the variance is an angle of 0.001 / (1 - s), s the ratio of the variances.
    monkeypatch.setattr(feature, "BLOCK", block)
    draw = np.random.default_rng(2)
    spread = np.sqrt([second, 1, *np.linspace(0.4, 0.01, 28)])
    features = draw.standard_normal((803, 30)) * spread @ np.linalg.qr(draw.standard_normal((30, 30)))[0]
    variances, vectors = np.linalg.eigh(np.cov(features.T))
    direction, passes = found(features)
    sine = np.linalg.norm(direction - (direction @ vectors[:, -1]) * vectors[:, -1])
    assert sine < 0.001 / (1 - variances[-2] / variances[-1]) and passes < 16
    assert direction[np.abs(direction).argmax()] > 0  # of two signs always the same


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
def test_without_such_a_direction_nearly_the_largest_variance_is_found(kind):
    # Against NumPy's eigenvalues. Of 100 directions, 16 steps cannot try all.
    features = (64 * np.random.default_rng(3).standard_normal((1500, 100)) + 128).clip(0, 255).astype(kind)
    covariance = np.cov(features.astype(np.float64).T)
    direction, passes = found(features)
    assert passes == 16 and direction @ covariance @ direction > 0.99 * np.linalg.eigvalsh(covariance)[-1]


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int16, np.int64, np.float16, np.float32, np.float64])
def test_numbers_of_any_kind_are_ordered(kind):
    features = np.ones((300, 2), kind)
    features[:, 1] = np.random.default_rng(4).integers(0, 2 if kind is bool else 200, 300)
    both = np.minimum(*histogram(partition.FeatureSkew()(features, 2), features[:, 1].astype(int)))
    assert np.count_nonzero(both) <= 1  # one value lies on both sides of the cut


@pytest.mark.parametrize(("unit", "offset"), [(1e-30, 0), (1e30, 0), (1.0, 1e9 + 30), (1e-3, -1e6)])
def test_neither_unit_nor_offset_matters(unit, offset):
    # In 32 bits, whose numbers are 64 apart at 1e9, these would be all alike, and so would their mean be off by 30.
    features = np.random.default_rng(5).standard_normal((400, 4)) * [3, 1, 1, 1]
    place = np.argsort(np.argsort(features @ found(features)[0])) // 40
    moved = partition.FeatureSkew()(unit * features + offset, 10)
    assert np.mean([np.bincount(place[examples]).max() for examples in held(moved)]) > 39


def test_the_data_are_read_where_they_are():
    features = np.random.default_rng(6).integers(0, 256, (10_000, 784), np.uint8)
    tracemalloc.start()
    start = time.perf_counter()
    partition.FeatureSkew()(features, 2000)
    assert time.perf_counter() - start < 3  # of a busy machine; a tenth of a second alone
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * features.size / 10  # of a copy in 32 bits


@pytest.mark.parametrize("skew", [0.0, 0.3, 0.7])
def test_skew_mixes_with_iid(skew):
    # A share `skew` of a piece of the line stays together, the rest is dealt evenly over ten nodes.
    features = np.arange(10_000.0)
    pieces = np.arange(10_000) // 1000
    split = partition.FeatureSkew(skew=skew)(features, 10)
    largest = [np.bincount(pieces[examples], minlength=10).max() / 1000 for examples in held(split)]
    expected = skew + (1 - skew) / 10
    error = 5 * np.sqrt(expected * (1 - expected) / 1000)
    if skew:
        assert abs(np.mean(largest) - expected) < error / np.sqrt(10)
    else:  # the largest of ten alike
        assert max(largest) < expected + error


def test_features_alike_are_dealt_at_random():
    for alike in (np.zeros((1000, 5), np.uint8), np.full((1000, 2), 0.1, np.float32), 1e-300 * np.arange(1000)):
        assert all(np.ptp(examples) > 500 for examples in held(partition.FeatureSkew()(alike, 10)))
    huge = np.array([1e38, -1e38, 1e38, -1e38])
    assert {frozenset(row.tolist()) for row in partition.FeatureSkew()(huge, 2).indices} == {
        frozenset({0, 2}),
        frozenset({1, 3}),
    }


def test_what_features_cannot_be():
    for bad in (np.nan, np.inf, 1e300):
        with pytest.raises(checks.InputError, match=r"not finite, or too large.*nan_to_num"):
            partition.FeatureSkew()(np.array([[1.0], [bad]]), 1)
    with pytest.raises(checks.InputError, match=r"shape \(10, 0\), need at least one number for each example"):
        partition.FeatureSkew()(np.zeros((10, 0)), 3)
    with pytest.raises(checks.InputError, match=r"got features of type <U1, need numbers"):
        partition.FeatureSkew()(np.array(["a", "b"]), 1)
    for skew in (-0.1, 1.1, float("nan")):
        with pytest.raises(checks.InputError, match=r"got skew=.*between 0 and 1; try skew=1.0"):
            partition.FeatureSkew(skew=skew)(np.zeros(5), 2)
