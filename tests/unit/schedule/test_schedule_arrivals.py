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


@pytest.mark.parametrize("law", ["exponential", "log_normal"])
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


def jobs_of(plan):
    """Pairs (begin, arrival) of rounds, and the client of each job; who works at second 0 began in round -1."""
    clients, used, begins = (np.asarray(x) for x in (plan.clients, plan.used, plan.begins))
    began, found = {}, []
    for t in range(len(clients)):
        for client in clients[t][used[t]].tolist():
            found.append((began.pop(client, -1), t, client))
        for client in clients[t][begins[t]].tolist():
            assert client not in began
            began[client] = t
    return np.array(found)


@pytest.mark.parametrize("options", [{}, {"buffer": 2}, {"window": 1.25}])
def test_with_some_at_work_the_first_of_them_arrive_and_idle_ones_begin(options):
    """Replayed by brute force: an argmin over those at work, who are always three."""
    plan = Arrivals.of(SECONDS, rounds=300, concurrency=3, seed=5, **options)
    clients, used, begins = (np.asarray(x) for x in (plan.clients, plan.used, plan.begins))
    first = [client for begin, _, client in jobs_of(plan) if begin == -1]
    done = np.where(np.isin(np.arange(4), first), SECONDS, np.inf)
    for t in range(300):
        assert np.isfinite(done).sum() == 3 and np.all(np.diff(clients[t]) > 0)
        arrived, begun, now = clients[t][used[t]], clients[t][begins[t]], plan.seconds_at[t + 1]
        if "window" in options:
            assert now == 1.25 * (t + 1) and np.array_equal(arrived, np.flatnonzero(done <= now))
        else:
            earliest = np.argsort(done, kind="stable")[: options.get("buffer", 1)]
            assert now == done[earliest].max() and sorted(earliest) == arrived.tolist()
        done[arrived] = np.inf
        assert len(begun) == len(arrived) and np.all(np.isinf(done[begun]))  # idle now
        done[begun] = now + SECONDS[begun]


def test_staleness_with_some_at_work_is_that_of_a_race_among_them():
    """Of M jobs of one rate each is the next with 1 / M: geometric, of mean M - 1; and all clients are alike."""
    n, M, T = 12, 4, 20_000
    jobs = jobs_of(Arrivals.of(np.ones(n), rounds=T, law="exponential", concurrency=M, seed=1))
    stale = (jobs[:, 1] - jobs[:, 0] - 1)[jobs[:, 0] >= 0]
    assert abs(stale.mean() - (M - 1)) < 5 * stale.std() / np.sqrt(len(stale))
    for k in range(6):
        often = (1 - 1 / M) ** k / M
        assert abs(np.mean(stale == k) - often) < 5 * np.sqrt(often / len(stale))
    counts = np.bincount(jobs[:, 2], minlength=n)
    assert np.all(np.abs(counts - T / n) < 5 * np.sqrt(T / n))
    # An event queue of its own: clients of two speeds, of which the slow ones are at work more often than idle.
    speeds, rng = np.repeat([1.0, 6.0], n // 2), np.random.default_rng(7)
    done, held, own = np.full(n, np.inf), np.full(n, -1), []
    begin = rng.choice(n, M, replace=False)
    done[begin] = rng.exponential(speeds[begin])
    for t in range(T):
        client = int(np.argmin(done))
        now = done[client]
        own.append(t - held[client] - 1)
        done[client] = np.inf
        client = int(rng.choice(np.flatnonzero(np.isinf(done))))
        done[client], held[client] = now + rng.exponential(speeds[client]), t
    jobs = jobs_of(Arrivals.of(speeds, rounds=T, law="exponential", concurrency=M, seed=2))
    stale, own = jobs[:, 1] - jobs[:, 0] - 1, np.array(own)
    for power in (1, 2):
        a, b = stale**power, own**power
        spread = np.hypot(a.std(), b.std()) / np.sqrt(T / M)  # neighbours in time are not independent
        assert abs(a.mean() - b.mean()) < 5 * spread


def test_all_at_work_is_the_plan_without_a_number_of_them():
    for options in ({}, {"buffer": 2}, {"window": 1.25}, {"law": "log_normal"}):
        one, other = (Arrivals.of(SECONDS, rounds=50, concurrency=M, **options) for M in (None, 4))
        assert np.array_equal(one.clients, other.clients) and np.array_equal(one.used, other.used)
        assert np.array_equal(one.seconds_at, other.seconds_at) and other.begins is None


def test_dynamic_local_updates_by_hand():
    """floor(v / max v H) of 12 steps at 1, 3/2, 9/4, 4 and 50 seconds a step: 12, 8, 5, 3, and not none."""
    step = np.array([1.0, 1.5, 2.25, 4.0, 50.0])
    plan = Arrivals.dynamic(step, local_steps=12, rounds=20)
    clients, steps = np.asarray(plan.clients)[:, 0], np.asarray(plan.steps)[:, 0]
    assert np.array_equal(steps, np.array([12, 8, 5, 3, 1])[clients])
    # 12, 12, 11.25 and 12 seconds: the third comes first, and then the others at once.
    assert clients[:8].tolist() == [2, 0, 1, 3, 2, 0, 1, 3]
    assert plan.seconds_at[1:9].tolist() == [11.25, 12, 12, 12, 22.5, 24, 24, 24]
    assert steps[:8].sum() == 2 * (12 + 8 + 5 + 3)
    took = step[:4] * [12, 8, 5, 3]
    assert np.all(took <= 12) and np.all(took > 12 - step[:4])
    thirds = Arrivals.dynamic([0.1, 0.3, 0.7], local_steps=21, rounds=3)  # 0.1 / 0.3 * 21 is below 7 in floats
    assert np.asarray(thirds.steps)[np.argsort(np.asarray(thirds.clients)[:, 0]), 0].tolist() == [21, 7, 3]


def test_a_plan_of_the_engine_says_who_begins_and_how_many_steps():
    plan = Arrivals.of(SECONDS, rounds=9, concurrency=2, steps=[4, 3, 2, 1])
    for t in range(10):
        one, last = plan((), t, jax.random.key(0))[0], min(t, 8)
        used, begins = (np.asarray(x)[last] & (t < 9) for x in (plan.used, plan.begins))
        assert np.array_equal(one.links.used, used) and np.array_equal(one.works, used)
        assert np.array_equal(one.active, used | begins)
        assert np.array_equal(one.steps, np.array([4, 3, 2, 1])[np.asarray(one.participants)])


def test_arrivals_for_nodes_have_mean_times_of_mean_one():
    plan = Arrivals.for_nodes(2_000, arrivals=20_000, spread=0.5, seed=3)
    # A Poisson client of mean time d arrives 1 / d a second: exp(spread^2) in the mean, of a log-normal d of mean 1.
    rate, of_mean = 20_000 / plan.seconds_at[-1] / 2_000, np.exp(0.25)
    assert abs(rate - of_mean) < 5 * np.hypot(of_mean * np.sqrt(of_mean - 1) / np.sqrt(2_000), rate / np.sqrt(20_000))
    equal = Arrivals.for_nodes(4, arrivals=8, spread=0.0, law="constant", fastest_steps=3)
    assert np.asarray(equal.steps).tolist() == [[3]] * 8 and np.allclose(equal.seconds_at[1:], [1] * 4 + [2] * 4)


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
        ({"concurrency": 5}, "got concurrency=5 with 4 clients"),
        ({"concurrency": 2, "buffer": 3}, "got buffer=3 with 2 clients at work"),
        ({"steps": [1, 2]}, "for each of 4 clients"),
        ({"steps": [1, 2, 0, 3]}, "of at least 1 for each"),
    ],
)
def test_what_is_refused(options, sentence):
    with pytest.raises(InputError, match=sentence.replace("(", r"\(")):
        Arrivals.of(**({"seconds": SECONDS, "rounds": 4} | options))
