"""Ticks: who acts in which, against planned times; whom they hear, by hand; and what it does to models, in NumPy."""

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from plan_reading import faults

import jdl
from jdl import algorithms, events
from jdl.checks import InputError
from jdl.schedule import Ticks
from jdl.topology import from_graph, random_regular, ring
from jdl.types import Seen

KEY = jax.random.key(5)


def acted(talk, count, key=KEY):
    """Plans of `count` ticks, with the memory after each."""

    @jax.jit
    def all_ticks(key):
        def tick(memory, t):
            plan, memory = talk(memory, t, jax.random.fold_in(key, t))
            return memory, (plan, memory)

        return jax.lax.scan(tick, talk.init(key), jnp.arange(count, dtype=jnp.int32))[1]

    return jax.tree.map(np.asarray, all_ticks(key))


def test_constant_times_in_ticks_of_their_common_divisor_are_those_of_planned_acts():
    """And ticks that divide nothing are late by less than one of them; nothing drifts."""
    times = np.array([0.3, 0.7, 1.1, 0.1, 0.5, 0.3])  # no binary numbers
    plan, _ = acted(Ticks.of(ring(6), times, seconds=0.1, horizon=40.0, law="constant"), 400)
    acts = events.devices(times, 40.0 + 1e-6, 6)
    expected = np.zeros((400, 6), bool)
    expected[np.rint(acts.seconds / 0.1).astype(int) - 1, acts.node] = True
    assert np.array_equal(plan.works, expected) and expected.sum() == len(acts.node)
    plan, _ = acted(Ticks.of(ring(6), times, seconds=0.09, horizon=40.0, law="constant"), 400)
    for node, time in enumerate(times):
        found = (np.flatnonzero(plan.works[:, node]) + 1) * 0.09
        exact = time * np.arange(1, len(found) + 1)
        assert np.all(found - exact > -1e-4) and np.all(found - exact < 0.09 + 1e-4)
        assert (len(found) + 1) * time > 36.0 - 0.09


def test_random_times_have_their_rates_and_a_plan_is_what_it_claims(x64):
    times = np.array([0.5, 1.0, 2.0, 4.0, 1.0, 1.0, 3.0, 2.0])
    for law, spread in (("exponential", 1.0), ("log_normal", np.sqrt(np.exp(0.25) - 1))):
        talk = Ticks.of(random_regular(8, 3, seed=0), times, seconds=0.25, horizon=500.0, law=law)
        plan, memory = acted(talk, talk.ticks)
        # Renewals: the count has the mean T / f and the variance T / f (spread of a duration / f)^2.
        counts, mean = plan.works.sum(0), 500.0 / times
        assert np.all(np.abs(counts - mean) < 5 * spread * np.sqrt(mean))
        assert not (wrong := faults(plan, 1e-14)), wrong
        links = plan.links
        assert np.array_equal(links.used[..., 0], plan.works)
        heard = np.take_along_axis(np.asarray(plan.active), links.senders[..., 0], 1)
        assert np.all(heard[plan.works]) and np.all(plan.active.sum(1) <= 2 * plan.works.sum(1))
        # Seconds since the last part in anything: a running sum.
        last = np.zeros(8)
        for t in range(200):
            np.testing.assert_allclose(plan.elapsed[t], (t + 1) * 0.25 - last)
            last = np.where(plan.active[t], (t + 1) * 0.25, last)
    assert np.all(memory.left > -2)


def test_choices_by_hand():
    """A star and an edge: 0 hears 1, 2, 3; the others have one neighbour; 4 has none."""
    star = from_graph(nx.Graph({0: [1, 2, 3], 4: []}), allow_disconnected=True)
    constant = {"seconds": 1.0, "horizon": 12.0, "law": "constant"}

    def seen(values, heard):
        return Seen({"loss": jnp.asarray(values, jnp.float32)}, jnp.asarray(heard, bool), None)

    talk = Ticks.of(star, choose="loss", **constant)
    assert set(talk.watches) == {"loss"} and not Ticks.of(star, **constant).watches
    call = jax.jit(lambda memory, seen, key: talk(memory, 0, key, seen))
    reports = [
        ([0.0, 3.0, 2.0, 9.0, 0.0], [0, 1, 1, 0, 0], {3}),  # 3 has not reported yet
        ([0.0, 3.0, 2.0, 9.0, 0.0], [0, 1, 1, 1, 0], {2}),
        ([0.0, 1.0, 2.0, 0.5, 0.0], [0, 1, 1, 0, 0], {1}),  # what 3 reports is of before
        ([0.0, 1.0, 1.0, 1.0, 0.0], [0, 1, 1, 1, 0], {1, 2, 3}),
    ]
    memory = talk.init(KEY)
    for values, heard, expected in reports:
        plans = [call(memory, seen(values, heard), key)[0] for key in jax.random.split(KEY, 20)]
        found = [plan.links.senders[:, 0].tolist() for plan in plans]
        assert {who[0] for who in found} == expected and all(who[1:] == [0, 0, 0, 4] for who in found)
        memory = call(memory, seen(values, heard), KEY)[1]
    assert bool(plans[0].works[4]) and not bool(plans[0].links.used[4, 0])  # alone

    plan, _ = acted(Ticks.of(star, choose="novel", **constant), 12)
    turns = plan.links.senders[:, 0, 0].reshape(4, 3)
    assert sorted(turns[0]) == [1, 2, 3] and np.all(turns == turns[0])  # one after the other, always
    plan, _ = acted(Ticks.of(star, **constant), 600)
    counts = np.bincount(plan.links.senders[:, 0, 0], minlength=4)[1:]
    assert np.all(np.abs(counts - 200) < 5 * np.sqrt(600 * 2 / 9))


def test_models_in_ticks_are_those_of_numpy_where_the_lowest_loss_is_heard(x64):
    """CTA: the lowest loss of the models before, on data without noise; and seconds end the run."""
    n, lr = 6, 0.2
    problem = jdl.problems.quadratic(n, 3, seed=1)
    times = np.array([1.0, 1.5, 2.0, 1.0, 2.5, 0.5])
    talk = Ticks.of(ring(n), times, seconds=0.5, horizon=30.0, law="constant", choose="loss")
    until = {"rounds": 60, "eval_every": 1, "until": {"simulated_seconds": 20.0}}
    result = jdl.run(problem, algorithms.CTA(lr=lr), talk, params=jnp.zeros(3), **until)
    np.testing.assert_allclose(result.history["simulated_seconds"], 0.5 * np.arange(41))
    A, b, x = np.asarray(problem.A), np.asarray(problem.b), np.zeros((n, 3))
    loss = lambda i, x: x @ A[i] @ x / 2 - b[i] @ x
    known, sent, left = np.full(n, -np.inf), 0, times.copy()
    for t in range(40):
        left -= 0.5
        acts, before, active = left <= 0, x.copy(), left <= 0
        unknown = [len({known[(i - 1) % n], known[(i + 1) % n]}) == 1 for i in range(n)]
        key, _ = jax.random.split(jdl.engine.sim.key_of(jax.random.key(0), "schedule", t))
        lots = np.asarray(jax.random.uniform(key, (n, 2)))
        for i in np.flatnonzero(acts):
            pair = talk.neighbours[i].tolist()
            j = pair[int(np.argmax(lots[i]))] if unknown[i] else min(pair, key=lambda j: known[j])
            mean = (before[i] + before[j]) / 2
            x[i] = mean - lr * (A[i] @ mean - b[i])
            active = active | (np.arange(n) == j)
            sent += 1
        known = np.array([loss(i, before[i]) if active[i] else known[i] for i in range(n)])
        left = np.where(acts, left + times, left)
    np.testing.assert_allclose(result.models, x, rtol=0, atol=1e-10)
    assert result.history["messages_sent"][-1] == sent


def test_what_does_not_fit_is_refused():
    bad = {
        "try seconds=0.1": {"seconds": 2.0},
        "more than 0": {"seconds": 0.0},
        "try horizon": {"horizon": 0.01},
        "exponential": {"law": "gamma"},
        "novel": {"choose": "best"},
        "need numbers of more than 0": {"seconds_per_step": np.zeros(4)},
    }
    for sentence, options in bad.items():
        with pytest.raises(InputError, match=sentence):
            Ticks.of(ring(4), **options)
    long = Ticks.of(ring(4), horizon=1.0)
    with pytest.raises(InputError, match="rounds=10"):
        jdl.run(jdl.problems.quadratic(4), algorithms.CTA(), long, rounds=11)
