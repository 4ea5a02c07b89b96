"""Calibration: how long a step takes on this machine, and what a step needs."""

import numpy as np
import pytest

import jdl
from jdl import checks, clock
from jdl.clock.steps import measured as module

PROBLEM = jdl.problems.digits(nodes=8, batch_size=32)


def test_steps_are_timed_as_a_stopwatch_times_them(monkeypatch):
    """With a stopwatch that stands still but for 3 ms a step, a step takes 3 ms, times the factor of each device."""
    monkeypatch.setattr(module, "_seconds", lambda steps, problem, params, count: 0.003 * count)
    np.testing.assert_allclose(clock.measured(PROBLEM), 0.003)
    np.testing.assert_allclose(clock.measured(PROBLEM, factor=[1, 10.0]), [0.003, 0.03])


def test_a_real_step_takes_time_and_a_clock_takes_it():
    seconds = clock.measured(PROBLEM, factor=np.ones(8), repeats=2)
    assert seconds.shape == (8,) and np.all((seconds > 1e-7) & (seconds < 1))
    clock.Clock(step=seconds)


def test_operations_of_a_network_by_hand():
    """A network of 64-32-10 on B examples: two products forward, three backward, 2 operations for each pair."""
    size = 32
    products = 2 * size * (2 * 64 * 32 + 3 * 32 * 10)
    counted = clock.from_flops(PROBLEM, 1.0)
    assert products <= counted <= 1.25 * products
    np.testing.assert_allclose(clock.from_flops(PROBLEM, [1e9, 2e9]), [counted / 1e9, counted / 2e9])


@pytest.mark.parametrize("given", [0, -1.0, float("inf"), "fast", np.ones((2, 2))])
def test_what_is_no_speed_is_refused(given):
    with pytest.raises(checks.InputError, match=r"(?s)got factor=.*, need a number above 0, or one for each node"):
        clock.measured(PROBLEM, factor=given)
    with pytest.raises(checks.InputError, match=r"(?s)got flops_per_second=.*, need a number above 0"):
        clock.from_flops(PROBLEM, given)
