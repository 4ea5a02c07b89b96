"""Devices that come back in the window that they were given: how many come in a period."""

import numpy as np
import pytest

from jdl import checks, theory


def visits(n, target, period, periods, skip, seed, jitter=0.5):
    """How many devices come in each period, i[periods], after `skip` of them; all come together at first."""
    rng = np.random.default_rng(seed)
    window = theory.reconnect_window(n, target, period, jitter)
    counts, now = np.zeros(periods, int), np.zeros(n)
    while now.min() < (skip + periods) * period:
        now = now + rng.uniform(*window, n)
        place = np.floor(now / period).astype(int) - skip
        np.add.at(counts, place[(place >= 0) & (place < periods)], 1)
    return counts


def test_as_many_come_as_are_needed_and_their_number_is_binomial():
    n, target = 3000, 30
    counts = visits(n, target, 60.0, periods=4000, skip=2000, seed=0)  # an interval has 100 periods
    # In the long run the number of visits of a device has the variance T (sd / mean)^2 of T intervals, here T = 40.
    spread = np.sqrt(n * (40 / 12 + 1)) / 4000
    assert abs(counts.mean() - target) < 5 * spread
    few = counts[::50]  # far enough apart to be nearly independent
    variance = target * (1 - target / n)
    assert abs(few.var() / variance - 1) < 5 * np.sqrt(2 / len(few))


def test_without_jitter_devices_stay_together():
    counts = visits(100, 10, 1.0, periods=50, skip=0, seed=0, jitter=0.0)
    assert counts[10::10].tolist() == [100] * 4 and counts.sum() == 400


def test_few_devices_meet_at_the_next_multiple_of_the_period():
    for now in (0.0, 3.0, 59.9, 60.0, 1234.5):
        window = theory.reconnect_window(50, target=50, period=60.0, now=now)
        assert window.earliest == window.latest and 0 < window.earliest <= 60
        assert abs((now + window.earliest) % 60) < 1e-9
    with pytest.raises(checks.InputError, match="got target=0"):
        theory.reconnect_window(50, target=0, period=60.0)
    with pytest.raises(checks.InputError, match="jitter"):
        theory.reconnect_window(50, target=5, period=60.0, jitter=1.5)
