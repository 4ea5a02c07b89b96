"""Every schedule inside a simulation: D-PSGD is W (x - lr g) in each round, also with sleepers and lost messages."""

import functools

import jax
import numpy as np
import pytest
import schedule_cases as cases

import jdl
from jdl.engine import sim as simulator
from jdl.rng import key_of
from jdl.schedule.sleeping import sleeping
from jdl.topology import to_dense

ROUNDS, LR = 4, 0.2


@functools.cache
def problem(n):
    return jdl.problems.quadratic(nodes=n, dim=2, noise=0.0)


def simulation(schedule, network=()):
    return jdl.simulation(problem(schedule.n), jdl.algorithms.DPSGD(lr=LR), schedule, network, mapping="vmap")


def start(n):
    return np.random.default_rng(0).standard_normal((n, 2)).astype(np.float32)


@pytest.mark.parametrize("name", cases.EACH)
def test_dpsgd_multiplies_by_what_the_schedule_says(name):
    schedule = cases.EACH[name]()
    built = simulation(schedule)
    data, n = problem(schedule.n), schedule.n

    @jax.jit
    def run(sim):
        def one(sim, _):
            plan, _ = built.schedule(sim.schedule_state, sim.t, key_of(built.key, "schedule", sim.t))
            active = np.ones(n, bool) if plan.active is None else plan.active
            sim, _ = simulator.step(built, sim)
            return sim, (to_dense(plan), active, simulator.models(built, sim), sim.traffic.messages[0])

        return jax.lax.scan(one, sim, None, length=ROUNDS)[1]

    x = start(n)
    W, active, models, messages = jax.tree.map(np.asarray, run(simulator.init(built, x)))
    A, b = np.asarray(data.A, np.float64), np.asarray(data.b, np.float64)
    sent, x = np.zeros(n), x.astype(np.float64)
    for t in range(ROUNDS):
        half = x - LR * (np.einsum("nij,nj->ni", A, x) - b)
        x = np.where(active[t][:, None], W[t] @ half, x)
        np.testing.assert_allclose(models[t], x, atol=1e-5)
        sent += (W[t] * (1 - np.eye(n)) != 0).sum(axis=0)
    np.testing.assert_array_equal(messages[-1], sent)


@pytest.mark.parametrize("name", cases.EACH)
def test_with_sleepers_and_lost_messages_rows_still_sum_to_one(name):
    # Equal models on equal data stay equal, whatever is lost; a symmetric plan keeps the mean too.
    schedule = cases.EACH[name]()
    built = simulation(sleeping(schedule, 0.3), [jdl.exchange.lossy(0.3)]).replace(
        algorithm=jdl.algorithms.DPSGD(lr=0.0)
    )
    plan = jax.eval_shape(lambda: schedule(schedule.init(built.key), 0, built.key)[0])
    run = jax.jit(lambda x: simulator.models(built, simulator.advance(built, simulator.init(built, x), ROUNDS)[0]))
    same = np.broadcast_to(np.float32([1.5, -2.25]), (schedule.n, 2))
    np.testing.assert_array_equal(run(same), same)
    x = start(schedule.n)
    after = np.asarray(run(x))
    assert np.all(np.isfinite(after))
    if plan.symmetric:
        np.testing.assert_allclose(after.mean(axis=0), x.mean(axis=0), atol=1e-6)
    if not name.startswith("matcha"):  # whose W may have negative entries
        assert np.all(after <= x.max(axis=0) + 1e-6) and np.all(after >= x.min(axis=0) - 1e-6)
