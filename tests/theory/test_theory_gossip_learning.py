"""Gossip learning with parts and with a limit, in waves, against the same events one at a time in NumPy."""

import itertools

import beds
import jax
import numpy as np
import pytest
from beds import DIM, N
from table import LR, X
from test_theory_waves import GRAPH, HORIZON, PROBLEM, executed, gradient, planned, waves_of

import jdl
from jdl import algorithms
from jdl.schedule import Waves

pytestmark = pytest.mark.usefixtures("x64")
SLOW = pytest.mark.slow


def cuts(parts, d=DIM):
    edges = [f * d // parts for f in range(parts + 1)]
    return [slice(first, last) for first, last in itertools.pairwise(edges)]


def drawn(parts, rounds):
    """Which part each node would send in each round, by the documented key of (seed 0, round, node)."""
    draw = lambda t, i: jax.random.randint(beds.key_of("node", t, i), (), 0, parts, np.int32)
    return np.asarray(jax.jit(jax.vmap(jax.vmap(draw, (None, 0)), (0, None)))(np.arange(rounds), np.arange(N)))


def of_other(merge, own, other, limit):
    """The weight of what arrives: Hegedus et al. 2021; Danner et al. 2023 with a limit."""
    if merge == "limited" and abs(own - other) > limit:
        return float(other > own)
    if merge in ("mean", "none"):
        return {"mean": 0.5, "none": 1.0}[merge]
    return 0.5 if own == other else other / (own + other)


def one_at_a_time(plan, g, waves, x0, lr, parts, merge, limit, decay):
    """Node i sends a part to node j, which merges it by its age and takes a step: models, ages f[n, parts]."""
    x, age, cut = x0.copy(), np.zeros((len(x0), parts), int), cuts(parts)
    which = drawn(parts, max(waves) + 1) if parts > 1 else np.zeros((max(waves) + 1, N), int)
    for i, j, t in zip(plan.node, plan.partner, waves, strict=True):
        part = which[t, i]
        at, share = cut[part], of_other(merge, age[j, part], age[i, part], limit)
        x[j, at] = (1 - share) * x[j, at] + share * x[i, at]
        age[j, part] = age[i, part] if merge == "none" else max(age[i, part], age[j, part])
        step = g(x[j], t, j)
        for part, at in enumerate(cut):
            x[j, at] -= lr * (1 / (1 + age[j, part]) if decay else 1) * step[at]
        age[j] += 1
    return x, age


def by_age(age):
    return 1 / (1 + age)


CASES = [
    (3, "age", 1.0, True),
    *(pytest.param(*case, marks=SLOW) for case in ((2, "mean", 1.0, False), (3, "none", 1.0, False))),
    (1, "limited", 2.0, False),
    *(pytest.param(*case, marks=SLOW) for case in ((5, "limited", 1.0, False), (1, "limited", 0.0, True))),
]


@pytest.mark.parametrize(("parts", "merge", "limit", "decay"), CASES)
def test_parts_and_limits_in_waves_are_those_of_one_event_at_a_time(parts, merge, limit, decay):
    waves, plan = Waves.push(GRAPH, horizon=HORIZON, width=3, window_events=24), planned(GRAPH, 0)
    when = waves_of(waves, plan, push=True)
    expected, age = one_at_a_time(plan, gradient(PROBLEM(), waves.waves), when, X, LR, parts, merge, limit, decay)
    options = {"partitions": parts, "merge": merge, "limit": limit, "decay": by_age if decay else None}
    run = executed(algorithms.GossipLearning(lr=LR, **options), waves, PROBLEM())
    beds.same(run.models[[0, -1]], np.stack([X, expected]), 1e-10)
    assert np.array_equal(run.nodes.age[-1].reshape(N, parts), age)
    assert run.messages[-1].sum() == len(plan.node)
    if parts > 1:
        # Numbers and an age of 64 bits each, and which of the parts.
        which = drawn(parts, waves.waves)
        size = np.array([last.stop - last.start for last in cuts(parts)])
        sent = sum(64 * size[which[t, i]] + 64 + np.ceil(np.log2(parts)) for i, t in zip(plan.node, when, strict=True))
        assert run.bits[-1].sum() == sent


def test_a_limit_that_no_ages_reach_changes_nothing_and_one_of_zero_merges_equals_only():
    waves = Waves.push(GRAPH, horizon=HORIZON, width=3, window_events=24)
    ends = [
        executed(algorithms.GossipLearning(lr=LR, merge=merge, limit=limit), waves, PROBLEM()).models[-1]
        for merge, limit in (("age", 1.0), ("limited", 1e9), ("limited", 0.0))
    ]
    assert np.array_equal(ends[0], ends[1])
    beds.apart(ends[0], ends[2])


@SLOW
def test_parts_of_equal_ages_are_averaged_over_any_graph():
    """All nodes act in every round: each part is averaged over those who sent it, and the receiver."""
    W, parts = beds.symmetric(), 2
    rounds = 12
    which, g = drawn(parts, rounds), beds.gradient(beds.quadratic())
    x = X.copy()
    for t in range(rounds):
        mixed = x.copy()
        for i in range(N):
            for part, at in enumerate(cuts(parts)):
                for j in range(N):
                    if j != i and which[t, j] == part:
                        mixed[i, at] += W[i, j] * (x[j, at] - x[i, at])
        x = mixed - LR * g(mixed)
    method = algorithms.GossipLearning(lr=LR, partitions=parts)
    run = beds.record(jdl.simulation(beds.quadratic(), method, beds.talk(W, method.needs)), X, rounds=rounds)
    beds.same(run.models[[0, -1]], np.stack([X, x]), 1e-10)
    np.testing.assert_allclose(run.nodes.age[-1], rounds, rtol=1e-12)  # means by W, but for rounding


def test_more_parts_than_numbers_are_refused():
    with pytest.raises(jdl.checks.InputError, match=f"try partitions={DIM}"):
        jdl.simulation(beds.quadratic(), algorithms.GossipLearning(partitions=DIM + 1), GRAPH)
