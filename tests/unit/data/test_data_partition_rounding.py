"""Whole numbers for expected ones: tables with given margins, and sizes, without bias."""

import numpy as np

from jdl.data.partition.margins import tilted, whole_with_margins
from jdl.data.partition.table import rounded


def test_tables_have_their_margins_and_entries_near_what_is_expected():
    draw = np.random.default_rng(5)
    log_mixture = np.log(draw.dirichlet(np.full(6, 0.5), 300))
    sizes = draw.integers(0, 12, 300)
    totals = draw.multinomial(sizes.sum(), np.full(6, 1 / 6))
    expected = sizes[:, None] * tilted(log_mixture, sizes, totals)
    np.testing.assert_allclose(expected.sum(axis=0), totals, atol=0.02)
    # Odds ratios of two rows are those of the mixtures: a tilt, and nothing but a tilt.
    log_ratio = np.log(tilted(log_mixture, sizes, totals)) - log_mixture
    contrast = log_ratio - log_ratio[:, :1]
    np.testing.assert_allclose(contrast, np.broadcast_to(contrast[0], contrast.shape), atol=1e-9)
    counts = whole_with_margins(log_mixture, sizes, totals, draw)
    np.testing.assert_array_equal(counts.sum(axis=0), totals)
    np.testing.assert_array_equal(counts.sum(axis=1), sizes)
    assert counts.min() >= 0 and np.all(np.abs(counts - expected) < 1 + 1e-9)


def test_tables_are_rounded_without_bias():
    draw = np.random.default_rng(6)
    log_mixture, sizes, totals = np.log(draw.dirichlet(np.ones(3), 12)), np.full(12, 5), np.array([30, 20, 10])
    expected = 5 * tilted(log_mixture, sizes, totals)
    tables = np.stack([whole_with_margins(log_mixture, sizes, totals, draw) for _ in range(2000)])
    error = tables.std(axis=0) / np.sqrt(2000)
    # Examples that change column are drawn in proportion to roundings, which is close to unbiased and not exactly so.
    assert np.all(np.abs(tables.mean(axis=0) - expected) < 5 * error + 0.03)


def test_sizes_are_rounded_without_bias():
    draw = np.random.default_rng(8)
    shares = np.array([0.15, 0.32, 0.53])
    sizes = np.stack([rounded(shares, 10, draw) for _ in range(2000)])
    assert np.all(sizes.sum(axis=1) == 10) and np.all(np.abs(sizes - 10 * shares) < 1)
    assert np.all(np.abs(sizes.mean(axis=0) - 10 * shares) < 5 * 0.5 / np.sqrt(2000))
