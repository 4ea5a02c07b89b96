"""One set of liars: who lies where, what the metrics count, and what the median is good for."""

import functools

import jax
import numpy as np
import ways
from programs.one_set_of_liars import simulation

import jdl

N, LIARS, ROUNDS = 8, 2, 40


@functools.cache
def problem():
    return jdl.problems.digits(nodes=N, hidden=0)


def build(seed=0, **how):
    return simulation(problem(), jdl.topology.complete(N), **{"dishonest": LIARS, "lr": 0.3, "seed": seed, **how})


def test_the_same_nodes_lie_in_the_oracle_and_on_the_wire():
    lies, honest = build(), build(poisoned=False)
    state = ways.state_after(lies, 1)
    (wire,), (unpoisoned,) = (ways.wires(s, state) for s in (lies, honest))
    flat = lambda message: np.concatenate([np.reshape(x, (N, -1)) for x in jax.tree.leaves(message)], axis=1)
    differs = lambda a, b: np.any(flat(a) != flat(b), axis=1)
    dishonest = ~np.asarray(lies.roles.honest)
    assert dishonest.sum() == LIARS
    np.testing.assert_array_equal(differs(wire.own, unpoisoned.own), dishonest)
    np.testing.assert_array_equal(differs(wire.own, wire.sent), dishonest)


def test_metrics_are_those_of_the_honest_nodes():
    s = build()
    models = jax.vmap(problem().init)(jax.random.split(jax.random.key(1), N))
    row = ways.evaluate(s, ways.init(s, models))
    loss = np.asarray(jax.vmap(lambda x: problem().evaluate(x)["loss"])(models))
    honest = np.asarray(s.roles.honest)
    np.testing.assert_allclose(row["mean_loss"], loss[honest].mean(), rtol=1e-5)
    np.testing.assert_allclose(row["worst_loss"], loss[honest].max(), rtol=1e-5)
    assert abs(loss.mean() / loss[honest].mean() - 1) > 1e-3


def test_medians_keep_honest_nodes_near_what_they_reach_without_liars():
    def accuracy(**how):
        s = build(**how)
        return float(ways.evaluate(s, ways.state_after(s, ROUNDS))["mean_accuracy"])

    alone = accuracy(dishonest=0, poisoned=False)
    assert alone > 0.85
    assert accuracy() > alone - 0.05
    assert accuracy(rule="mean") < alone - 0.15


@ways.of("one_set_of_liars")
def test_in_all_ways(names):
    ways.check(build, names)
