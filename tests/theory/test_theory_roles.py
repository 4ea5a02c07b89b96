"""Who trains, and who only helps to average: against all sets of nodes and a bisection of the all-reduce."""

import itertools

import numpy as np
import pytest

from jdl import checks, theory


def seconds_of(rate, trains):
    """The least seconds of an all-reduce of one bit, by bisection of what each has time for, of at least three."""
    m, low, high = trains.sum(), max(trains / rate), 1e6
    for _ in range(100):
        middle = (low + high) / 2
        room = np.clip((middle * rate - trains) / (m - 2 * trains), 0, 1).sum()
        low, high = (low, middle) if room >= 1 else (middle, high)
    return high


@pytest.mark.parametrize("overlap", [True, False])
def test_roles_are_the_best_of_all_sets(overlap):
    rng, n = np.random.default_rng(0), 5
    chosen = set()
    for _ in range(4):
        speed, rate = rng.integers(1, 60, n) / 10, rng.uniform(0.2, 1, n) * 10 ** rng.uniform(-1, 1, n)
        speed[:3] = 20  # at least these three train in the best set, or the bisection would not do
        batch, bits = 10.0, float(rng.uniform(0.05, 0.8))
        found = theory.training_roles(speed, rate, batch, bits, overlap)
        best = 0.0
        for trains in itertools.product([0, 1], repeat=n):
            trains = np.array(trains, float)
            if trains.sum() >= 3:
                compute, reduce = batch / (trains @ speed), bits * seconds_of(rate, trains)
                best = max(best, 1 / (max(compute, reduce) if overlap else compute + reduce))
        assert found.steps_per_second > best * (1 - 1e-5)
        if found.trains.sum() >= 3:
            np.testing.assert_allclose(found.steps_per_second, best, rtol=1e-5)
        chosen.add(int(found.trains.sum()))
    assert len(chosen) > 1


def test_closed_forms_of_roles():
    equal = theory.training_roles([5.0] * 4, [1e6] * 4, batch=40, bits=1e6)
    assert equal.trains.tolist() == [True] * 4  # min(20 / 40, 1 / 1.5)
    np.testing.assert_allclose([equal.steps_per_second, *equal.shares], [0.5] + [0.25] * 4, atol=1e-6)
    # One that computes fast behind a line that is slow makes the others wait: 10 s for its own vector alone.
    slow = theory.training_roles([5, 5, 5, 8.0], [1e6, 1e6, 1e6, 1e5], batch=15, bits=1e6)
    assert slow.trains.tolist() == [True, True, True, False]
    alone = theory.training_roles([3.0, 0.0], [1.0, 1.0], batch=6, bits=1.0, overlap=False)
    assert alone.trains.tolist() == [True, False] and alone.shares.tolist() == [1, 0]
    np.testing.assert_allclose(alone.steps_per_second, 0.5)
    with pytest.raises(checks.InputError, match="got speeds that are negative or all 0"):
        theory.training_roles([0.0], [1.0], 1, 1)
    with pytest.raises(checks.InputError, match=r"need one of each for 1 to 12 nodes"):
        theory.training_roles(np.ones(13), np.ones(13), 1, 1)
