"""Planned arrivals at a server: against closed forms and brute force, their rates, and what is refused."""

import jax
import numpy as np
import pytest

from jdl.checks import InputError
from jdl.schedule import Arrivals

SECONDS = np.array([1.0, 1.5, 2.25, 4.0])


def test_constant_times_arrive_at_their_multiples():
    plan = Arrivals.of(SECONDS, rounds=500)
    every = [(k * s, i) for i, s in enumerate(SECONDS) for k in range(1, 600)]  # exact, as these are sums of quarters
    expected = sorted(every)[:500]
    assert np.asarray(plan.clients)[:, 0].tolist() == [client for _, client in expected]
    assert plan.seconds_at[0] == 0 and plan.seconds_at[1:].tolist() == [second for second, _ in expected]
    assert plan.seconds_at.dtype == np.float64 and bool(np.all(plan.used))


@pytest.mark.parametrize("law", ["exponential", "lognormal"])
def test_arrivals_a_second_are_the_sum_of_the_rates(law):
    plan = Arrivals.of(SECONDS, rounds=40_000, law=law, sigma=1.0, seed=3)
    horizon, counts = plan.seconds_at[-1], np.bincount(np.asarray(plan.clients)[:, 0])
    spread = 1.0 if law == "exponential" else np.sqrt(np.e - 1)  # standard deviation over mean of one time
    expected = horizon / SECONDS
    assert np.all(np.abs(counts - expected) < 5 * spread * np.sqrt(expected))
    rate = (1 / SECONDS).sum()
    assert abs(40_000 / horizon - rate) < 5 * spread * rate / np.sqrt(40_000)
    # Exponential times make each arrival any client's, by its rate and whatever came before.
    if law == "exponential":
        gaps = np.diff(plan.seconds_at)
        assert abs(gaps.std() / gaps.mean() - 1) < 0.03
    again = Arrivals.of(SECONDS, rounds=40_000, law=law, sigma=1.0, seed=3)
    assert np.array_equal(plan.clients, again.clients) and np.array_equal(plan.seconds_at, again.seconds_at)


def test_staleness_under_exponential_times_has_the_distribution_of_a_race():
    """Between two arrivals of a client of rate r there are geometrically many others, of mean (R - r) / r."""
    clients = np.asarray(Arrivals.of(SECONDS, rounds=40_000, law="exponential").clients)[:, 0]
    rate = (1 / SECONDS).sum()
    for client, mean in enumerate(rate * SECONDS - 1):
        between = np.diff(np.flatnonzero(clients == client)) - 1
        assert abs(between.mean() - mean) < 5 * between.std() / np.sqrt(len(between))
        often = mean / (1 + mean) ** np.array([0.0, 1.0])  # of none: 1 / (1 + mean)
        assert abs(np.mean(between == 0) - (1 - often[1])) < 5 * np.sqrt(often[1] / len(between))


def test_a_buffer_makes_those_who_have_arrived_wait():
    """By brute force: the K-th of the times of all, and those who arrived begin again then."""
    plan, done = Arrivals.of(SECONDS, rounds=200, buffer=2), SECONDS.copy()
    for t in range(200):
        first = np.argsort(done, kind="stable")[:2]
        now = done[first].max()
        assert sorted(first) == np.asarray(plan.clients)[t].tolist() and plan.seconds_at[t + 1] == now
        done[first] = now + SECONDS[first]
    everybody = Arrivals.of(SECONDS, rounds=3, buffer=4)
    assert everybody.seconds_at.tolist() == [0.0, 4.0, 8.0, 12.0]  # the slowest decides


def test_windows_take_all_who_are_done():
    """A client with a time of d arrives in every ceil(d / S)-th window, since it waits for the end of one."""
    plan = Arrivals.of(SECONDS, rounds=24, window=1.25)
    every = np.ceil(SECONDS / 1.25).astype(int)
    for t in range(24):
        clients, used = np.asarray(plan.clients)[t], np.asarray(plan.used)[t]
        assert clients[used].tolist() == np.flatnonzero((t + 1) % every == 0).tolist()
        assert np.all(np.diff(clients) > 0)
    np.testing.assert_allclose(plan.seconds_at, 1.25 * np.arange(25), rtol=1e-15)
    assert not np.asarray(Arrivals.of([5.0], rounds=3, window=1.0).used).any()  # nobody is done yet


def test_a_plan_of_the_engine_and_its_end():
    plan = Arrivals.of(SECONDS, rounds=3)
    rounds = [plan((), t, jax.random.key(0))[0] for t in range(5)]
    assert [one.participants.tolist() for one in rounds] == [[0], [1], [0], [0], [0]]
    assert [bool(one.active[0]) for one in rounds] == [True, True, True, False, False]
    assert [float(one.links.weights[0]) for one in rounds] == [1, 1, 1, 0, 0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"seconds": [1.0, -2.0]}, "got seconds=-2.0 for client 1, need a time above 0"),
        ({"seconds": [1.0, np.nan]}, "got seconds=nan for client 1"),
        ({"seconds": 1.0}, "need one time for each client"),
        ({"rounds": 0}, "rounds"),
        ({"buffer": 5}, "got buffer=5 with 4 clients"),
        ({"law": "normal"}, "normal"),
        ({"sigma": -1.0}, "got sigma=-1.0"),
        ({"window": 0.0}, "got window=0.0, need seconds above 0"),
        ({"window": 1.0, "buffer": 2}, "need one of them"),
    ],
)
def test_what_is_refused(options, sentence):
    with pytest.raises(InputError, match=sentence.replace("(", r"\(")):
        Arrivals.of(**({"seconds": SECONDS, "rounds": 4} | options))
