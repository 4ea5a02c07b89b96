"""Schedules that were planned in time: their seconds are exact, their rounds counted, and their methods noted."""

import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import algorithms, checks, schedule, topology
from jdl.clock import Clock
from jdl.runs.goal import check_columns, goal_of
from jdl.runs.planned import columns_of, in_pairs, times_of

N = 8
PROBLEM = jdl.problems.quadratic(N, dim=2)
LATE = np.array([0.0, 1e9 + 0.25, 1e9 + 0.5, 1e9 + 1.75])  # of which float32 keeps no second


def arrivals() -> schedule.Arrivals:
    return schedule.Arrivals(jnp.zeros((3, 1), jnp.int32), jnp.ones((3, 1), bool), LATE, N)


def test_seconds_of_years_keep_their_quarters():
    times = times_of(in_pairs(in_pairs(arrivals())))
    pairs, seconds = times["seconds_at"], lambda t, times: columns_of(times, t)["simulated_seconds"].tolist()
    assert pairs.dtype == np.float32 and [seconds(t, times) for t in range(4)] == LATE.tolist()
    assert seconds(9, times) == LATE[-1] and list(columns_of(times, 1)) == ["simulated_seconds"]
    assert in_pairs(schedule.Sleeping(arrivals(), 0.0)).seconds_at.shape == (2, 4)
    both = {"seconds_at": np.stack([pairs, 2 * pairs]), "n": N}  # several simulations side by side
    assert seconds(1, both) == [LATE[1], 2 * LATE[1]]


def test_clients_that_wait_for_others_are_idle():
    """Nobody waits for single arrivals; with a buffer or a window, who has arrived waits for the answer: by hand."""
    of = lambda *args, **how: times_of(in_pairs(schedule.Arrivals.of(*args, **how)))
    idle = lambda times, t: float(columns_of(times, t)["idle_share"])
    assert idle(of([1.0, 2.5], rounds=9), 9) == 0
    assert np.isclose(idle(of([1.0, 2.5], rounds=9, buffer=2), 4), 1.5 / 5)  # the first waits 1.5 of 2.5 s
    assert idle(of([1.0, 1.0], rounds=6, concurrency=1), 6) == 0.5  # one of the two works at a time
    # Windows of 2 s: 1 s of 2 for the first client; the second ends at 2.5 and 6.5 s, and waits 1.5 of 4 s.
    in_windows = of([1.0, 2.5], rounds=4, window=2.0)
    assert [round(idle(in_windows, t), 6) for t in range(5)] == [0, 0.25, 0.4375, round(4.5 / 12, 6), 0.4375]


@pytest.mark.slow
def test_a_run_tells_these_seconds():
    for several in ({}, {"seeds": 2}):
        run = jdl.run(PROBLEM, algorithms.FedAsync(), arrivals(), rounds=3, eval_every=1, progress=False, **several)
        np.testing.assert_array_equal(np.asarray(run.history.simulated_seconds).reshape(4, -1)[:, 0], LATE)


def test_goals_of_columns_that_a_plan_has_not():
    planned = jdl.simulation(PROBLEM, algorithms.FedAsync(), schedule.Arrivals.of(np.ones(N), rounds=2))
    for column in ("simulated_seconds", "idle_share"):
        check_columns(goal_of({column: 0.5}), planned)
    with pytest.raises(checks.InputError, match="got joules in until for a run which has no clock"):
        check_columns(goal_of({"joules": 1.0}), planned)


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
    with pytest.warns(checks.Note, match="FedAsync over Sampling, .* whatever its speed"):
        jdl.simulation(PROBLEM, algorithms.FedAsync(), schedule.Sampling(N, 2))
