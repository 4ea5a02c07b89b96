"""Sizes by a power law or a log-normal law, labels alike. Bounds are five standard errors of the law named."""

import numpy as np
import pytest
from partition_cases import LABELS, N, histogram, is_lawful

from jdl import checks
from jdl.data import partition
from jdl.data.partition.rules import RULES


def test_sizes_follow_the_power_law():
    # Hill's estimator of the exponent with the least size unknown: (n - 2) / sum log(s / s_min), error (a - 1)/sqrt(n).
    for exponent in (2.5, 4.0):
        counts = partition.PowerLaw(exponent)(np.zeros(500_000, np.int8), 2000).counts
        hill = 1998 / np.sum(np.log(counts / counts.min()))
        assert abs(hill - (exponent - 1)) < 5 * (exponent - 1) / np.sqrt(2000)


def test_sizes_follow_the_log_normal_law():
    for sigma in (0.3, 1.0):
        logs = np.log(partition.LogNormal(sigma)(np.zeros(500_000, np.int8), 2000).counts)
        assert abs(logs.std(ddof=1) - sigma) < 5 * sigma / np.sqrt(4000)
        skewness = np.mean((logs - logs.mean()) ** 3) / logs.std() ** 3
        assert abs(skewness) < 5 * np.sqrt(6 / 2000)


@pytest.mark.parametrize("rule", ["log_normal", "power_law"])
def test_sizes_vary_and_labels_do_not(rule):
    labels = np.arange(100_000) % 4
    counts = histogram(RULES[rule]()(labels, 50), labels)
    sizes = counts.sum(axis=1, keepdims=True)
    z = (counts - sizes / 4) / np.sqrt(sizes * 0.25 * 0.75 * (1 - sizes / 100_000))  # hypergeometric
    assert np.ptp(sizes) > 1000 and np.abs(z).max() < 5 and 0.8 < z.std() < 1.2


def test_extreme_sizes_and_refusals():
    is_lawful(partition.PowerLaw(exponent=1 + 1e-12)(LABELS, 50), 50, N)
    is_lawful(partition.LogNormal(sigma=1e6)(LABELS, 50), 50, N)
    for exponent in (1, 0.5, float("nan"), float("inf")):
        with pytest.raises(checks.InputError, match=r"got exponent=.*above 1; try exponent=2.5"):
            partition.PowerLaw(exponent)(LABELS, 5)
    for sigma in (-1.0, float("nan"), float("inf"), 1e200):
        with pytest.raises(checks.InputError, match=r"got sigma=.*at least 0, at most 1e\+06; try sigma=1.0"):
            partition.LogNormal(sigma)(LABELS, 5)
