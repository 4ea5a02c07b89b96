"""Schedules that were planned in time: their seconds are exact, their rounds counted, and their methods noted."""

import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import algorithms, checks, schedule, topology
from jdl.clock import Clock
from jdl.command import choices
from jdl.command.flags import flags_of
from jdl.command.record import build, record
from jdl.runs.budget import Budget
from jdl.runs.ending import ending
from jdl.runs.goal import check_columns, goal_of
from jdl.runs.planned import columns_of, in_pairs, rounds_of_a_node, times_of, usual_rounds, window_of

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
    for several in ({}, {"seeds": 2}):  # all of the three rounds that were planned
        run = jdl.run(PROBLEM, algorithms.FedAsync(), arrivals(), eval_every=1, progress=False, **several)
        np.testing.assert_array_equal(np.asarray(run.history.simulated_seconds).reshape(4, -1)[:, 0], LATE)


def test_rounds_and_evaluations_where_no_numbers_are_given():
    """All waves are run, and evaluated at the ends of windows, unless there are fewer than five of these."""
    waves = schedule.Waves.pairs(topology.ring(N), horizon=100.0, window_events=28)
    assert waves.waves_per_window > 1 and waves.waves > 500
    assert usual_rounds(waves) == waves.waves and usual_rounds(waves, arrivals()) == 3 and usual_rounds(None) == 500
    relabelled = schedule.Sleeping(arrivals(), 0.0)
    assert usual_rounds(relabelled) == 3 and window_of(relabelled) == 1
    every = lambda plan, rounds: Budget(jdl.simulation(PROBLEM, algorithms.ADPSGD(), plan), rounds).every("auto")
    window = waves.waves_per_window
    assert every(waves, waves.waves) % window == 0 and every(waves, 4 * window) == max(10, -(-4 * window // 25))
    assert every(waves, 5 * window) % window == 0


def test_baselines_take_as_many_steps_as_a_node_of_the_run():
    """A wave has a few nodes, and an arrival is one client's: counted one by one."""
    waves = schedule.Waves.pairs(topology.ring(N), horizon=9.0)
    plans = [waves((), t, None)[0] for t in range(waves.waves)]
    works = sum(int(np.sum(plan.works)) for plan in plans)
    assert rounds_of_a_node(waves, waves.waves) == round(works / N) < waves.waves
    assert rounds_of_a_node(waves, 1) == 1 and rounds_of_a_node(topology.ring(N), 7) == 7
    assert rounds_of_a_node(schedule.Sleeping(schedule.Arrivals.of(np.ones(4), rounds=12), 0.0), 8) == 2


def test_a_command_takes_all_that_is_planned():
    def rounds(topology, **given):
        chosen = choices.choose(choices.Choices(problem="quadratic", topology=topology))
        return build(record(flags_of(chosen)(nodes=8, **given), chosen))["rounds"]

    assert (rounds("compass"), rounds("compass", rounds=50), rounds("ring")) == (1000, 50, 3000)


def test_a_run_that_went_far_beyond_its_limit_says_so():
    """Limits are looked at in evaluations, which may be far apart."""
    rows = [{"round": t, "mean_loss": 1.0, "simulated_seconds": t / 10} for t in (0, 400, 800)]
    simulation = jdl.simulation(PROBLEM, algorithms.DPSGD(), topology.ring(N), clock=Clock())
    goal = lambda limit: goal_of({"simulated_seconds": limit})
    ended = {"diverged_round": -1, "t": 800, "rounds": 900, "rows": rows, "go_on": None}
    told = lambda limit: ending(simulation, **ended, goal=goal(limit))[1]
    assert told(79.0) == "reached simulated_seconds >= 79 after round 800 of 900"
    assert told(60.0).endswith("at simulated_seconds = 80: evaluations are 400 rounds apart; try a smaller eval_every")


def test_goals_of_columns_that_a_plan_has_not():
    planned = jdl.simulation(PROBLEM, algorithms.FedAsync(), schedule.Arrivals.of(np.ones(N), rounds=2))
    for column in ("simulated_seconds", "idle_share"):
        check_columns(goal_of({column: 0.5}), planned)
    with pytest.raises(checks.InputError, match="got joules in until for a run over Arrivals, which tells no more"):
        check_columns(goal_of({"joules": 1.0}), planned)
    clocked = lambda clock: jdl.simulation(PROBLEM, algorithms.DPSGD(), topology.ring(N), clock=clock)
    with pytest.raises(checks.InputError, match="got joules in until for a run whose clock counts no energy"):
        check_columns(goal_of({"joules": 1.0}), clocked(Clock()))
    check_columns(goal_of({"joules": 1.0}), clocked(Clock(watts=5.0)))
    for told in (jdl.time_line, lambda one: jdl.timing(one, rounds=2)):  # of rounds and their clock, which is none here
        with pytest.raises(checks.InputError, match=r"got .*Arrivals, whose events have their times"):
            told(planned)


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
