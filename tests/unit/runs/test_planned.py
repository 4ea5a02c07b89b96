"""Schedules that were planned in time: their seconds are exact, their rounds counted, and their methods noted."""

import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import algorithms, checks, schedule, topology
from jdl.clock import Clock
from jdl.runs.planned import in_pairs, seconds_after

N = 8
PROBLEM = jdl.problems.quadratic(N, dim=2)
LATE = np.array([0.0, 1e9 + 0.25, 1e9 + 0.5, 1e9 + 1.75])  # of which float32 keeps no second


def arrivals() -> schedule.Arrivals:
    return schedule.Arrivals(jnp.zeros((3, 1), jnp.int32), jnp.ones((3, 1), bool), LATE, N)


def test_seconds_of_years_keep_their_quarters():
    pairs = in_pairs(arrivals()).seconds_at
    assert pairs.dtype == np.float32 and [float(seconds_after(t, pairs)) for t in range(4)] == LATE.tolist()
    assert in_pairs(in_pairs(arrivals())).seconds_at is not None and seconds_after(9, pairs) == LATE[-1]
    wrapped = in_pairs(schedule.Sleeping(arrivals(), 0.0))
    assert wrapped.seconds_at.shape == (2, 4)
    both = np.stack([pairs, 2 * pairs])  # several simulations side by side
    assert seconds_after(1, both).tolist() == [LATE[1], 2 * LATE[1]]


@pytest.mark.slow
def test_a_run_tells_these_seconds():
    for several in ({}, {"seeds": 2}):
        run = jdl.run(PROBLEM, algorithms.FedAsync(), arrivals(), rounds=3, eval_every=1, progress=False, **several)
        np.testing.assert_array_equal(np.asarray(run.history.simulated_seconds).reshape(4, -1)[:, 0], LATE)


def test_more_rounds_than_were_planned_and_a_clock_beside_the_plan():
    waves = schedule.Waves.pairs(topology.ring(N), horizon=2.0)
    with pytest.raises(checks.InputError, match="got a clock beside Waves"):
        jdl.simulation(PROBLEM, algorithms.ADPSGD(), waves, clock=Clock())
    with pytest.raises(checks.InputError, match="got a clock beside Sleeping"):
        jdl.simulation(PROBLEM, algorithms.ADPSGD(), schedule.Sleeping(waves, 0.5), clock=Clock())
    planned = jdl.simulation(PROBLEM, algorithms.ADPSGD(), waves)
    for call in (jdl.simulate, jdl.tune):
        with pytest.raises(checks.InputError, match=f"got rounds=1000 with Waves, whose plan has {waves.waves}"):
            call(planned, rounds=1000)


def test_a_method_without_rounds_over_rounds_and_the_other_way_are_noted():
    with pytest.warns(checks.Note, match="ADPSGD over Fixed, whose rounds have no times"):
        jdl.simulation(PROBLEM, algorithms.ADPSGD(), topology.ring(N))
    with pytest.warns(checks.Note, match="FedAvg gives its newest model to all who arrive"):
        jdl.simulation(PROBLEM, algorithms.FedAvg(), arrivals())
    with pytest.warns(checks.Note, match="FedAsync over Sampling, .* by its speed"):
        jdl.simulation(PROBLEM, algorithms.FedAsync(), schedule.Sampling(N, 2))
