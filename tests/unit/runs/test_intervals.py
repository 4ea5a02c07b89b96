"""Intervals over seeds against scipy and closed forms, and by how often they cover the mean."""

import itertools

import numpy as np
import pytest
import scipy.stats

from jdl.checks import InputError
from jdl.show.intervals import KINDS, finite, in_words, interval

RNG = np.random.default_rng(3)


def test_each_kind_is_what_its_name_says():
    values = RNG.normal(size=(4, 3, 7))
    mean, low, high = interval(values, "minmax")
    assert np.allclose(mean, values.mean(-1)) and mean.shape == (4, 3)
    assert np.array_equal(low, values.min(-1)) and np.array_equal(high, values.max(-1))
    _, low, high = interval(values, "std")
    assert np.allclose((high - low) / 2, scipy.stats.tstd(values, axis=-1))
    _, low, high = interval(values, "t")
    expected = scipy.stats.ttest_1samp(values, 0, axis=-1).confidence_interval(0.95)
    assert np.allclose(low, expected.low) and np.allclose(high, expected.high)


@pytest.mark.parametrize("seeds", [5, 12])
def test_the_bootstrap_is_that_of_scipy(seeds):
    values = RNG.normal(size=(6, seeds)) ** 2
    mean, low, high = interval(values, "bootstrap")
    expected = scipy.stats.bootstrap(
        (values,), np.mean, axis=-1, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    # A percentile of 2,000 draws has a standard error of 0.0035 in probability, about 0.06 deviations of the mean.
    error = values.std(-1) / np.sqrt(seeds)
    assert np.all(np.abs(low - expected.low) < 0.25 * error) and np.all(np.abs(high - expected.high) < 0.25 * error)
    assert np.all(low < mean) and np.all(mean < high)


def test_the_bootstrap_of_few_seeds_takes_all_resamples():
    values = np.array([0.0, 1.0, 5.0, 6.0])
    means = sorted(np.mean(one) for one in itertools.product(values, repeat=4))
    # 256 resamples: at least 2.5 % of them, 7, are at most the lower end, and as many at least the upper end.
    _, low, high = interval(values)
    assert low == means[6] and high == means[-7]


def test_the_bootstrap_moves_and_scales_with_the_values():
    values = RNG.normal(size=(5, 9))
    low, high = interval(values)[1:]
    moved_low, moved_high = interval(7 - 2 * values)[1:]
    # Mirrored values swap the tails, of which both have the same number of resamples.
    assert np.allclose(interval(7 + 2 * values)[1], 7 + 2 * low)
    assert np.allclose(moved_low, 7 - 2 * high) and np.allclose(moved_high, 7 - 2 * low)


def test_rows_do_not_depend_on_each_other():
    values = RNG.normal(size=(3, 8))
    together, apart = interval(values), [interval(row) for row in values]
    for k in range(3):  # a product of matrices sums in another order than one of a matrix and a vector
        np.testing.assert_allclose(together[k], [one[k] for one in apart], rtol=1e-12)


def coverage(kind, seeds):
    _, low, high = interval(np.random.default_rng(0).normal(size=(4000, seeds)), kind)
    return np.mean((low <= 0) & (high >= 0))


def test_how_often_intervals_cover_the_mean():
    """4,000 cases: a share near 0.95 has a standard error of 0.0035, one near 0.83 of 0.006."""
    assert coverage("t", 5) == pytest.approx(0.95, abs=0.012)
    assert coverage("bootstrap", 60) == pytest.approx(0.94, abs=0.015)
    # Percentiles of five values cover less: the deviation is too small by sqrt(4/5), and normal quantiles in place of
    # Student's, so about 2 T_4(1.96 sqrt(4/5)) - 1 = 0.846, less the steps of so few resamples.
    assert coverage("bootstrap", 5) == pytest.approx(2 * scipy.stats.t.cdf(1.96 * np.sqrt(0.8), 4) - 1, abs=0.03)
    # One standard deviation on both sides is sqrt(5) standard errors.
    assert coverage("std", 5) == pytest.approx(2 * scipy.stats.t.cdf(np.sqrt(5), 4) - 1, abs=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_seeds_that_diverged_are_left_out_and_counted(kind):
    values = np.array([[1.0, np.nan, 2.0, 4.0], [1.0, 3.0, 2.0, 4.0], [np.nan, np.inf, 5.0, np.nan], [np.nan] * 4])
    mean, low, high = interval(values, kind)
    assert finite(values).tolist() == [3, 4, 1, 0]
    rest = interval(np.array([1.0, 2.0, 4.0]), kind)
    assert (mean[0], low[0], high[0]) == tuple(rest)
    assert mean[1] == 2.5 and low[1] < 2.5 < high[1]
    assert mean[2] == 5 and np.isnan([mean[3], low[3], high[3]]).all()
    # One seed says nothing of the spread, though it is the smallest and the largest.
    assert low[2] == high[2] == 5 if kind == "minmax" else np.isnan([low[2], high[2]]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_equal_seeds_have_an_interval_of_no_width(kind):
    mean, low, high = interval(np.full((2, 5), 0.25), kind)
    assert np.allclose([mean, low, high], 0.25)


def test_words_and_mistakes():
    assert in_words("t", 8) == "95% t-interval of the mean over 8 seeds"
    with pytest.raises(InputError, match="got interval 'sem', which does not exist; use one of minmax, std"):
        interval(np.ones(3), "sem")
    with pytest.raises(InputError, match="need an axis of seeds"):
        interval(1.0)
    assert interval(np.zeros((0, 5)))[0].shape == (0,)
