"""Schedules inside a simulation: D-PSGD is W (x - lr g) in each round.

What the engine makes of a plan depends on its class alone: the form of its links, what it promises, whether it names
who is active. `tests/laws/test_laws_topology.py` executes the engine on each class, plain and with sleepers and lost
messages; here no schedule draws plans of another class, and one of those that remember runs. The slow suite runs all.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import plan_reading
import pytest
import schedule_cases as cases

import jdl
from jdl.engine import sim as simulator
from jdl.engine.rounds import plan_at
from jdl.schedule.sleeping import Sleeping

ROUNDS, LR = 4, 0.2


@functools.cache
def problem(n):
    return jdl.problems.quadratic(nodes=n, dim=2, noise=0.0)


def simulation(schedule, network=()):
    return jdl.simulation(problem(schedule.n), jdl.algorithms.DPSGD(lr=LR), schedule, network, mapping="vmap")


def start(n):
    return np.random.default_rng(0).standard_normal((n, 2)).astype(np.float32)


def dpsgd_multiplies_by_what_the_schedule_says(name):
    schedule = cases.EACH[name]()
    built = simulation(schedule)
    data, n = problem(schedule.n), schedule.n

    @jax.jit
    def run(x):
        def one(sim, _):
            plan, _ = plan_at(built, sim)
            sim, _ = simulator.step(built, sim)
            return sim, (plan, simulator.models(built, sim), sim.traffic.messages[0])

        return jax.lax.scan(one, simulator.init(built, x), None, length=ROUNDS)[1]

    x = start(n)
    plan, models, messages = jax.device_get(run(x))
    W, active = plan_reading.matrix(plan), plan_reading.awake(plan)
    A, b = np.asarray(data.A, np.float64), np.asarray(data.b, np.float64)
    sent, x = np.zeros(n), x.astype(np.float64)
    for t in range(ROUNDS):
        works = np.ones(n, bool) if plan.works is None else plan.works[t]
        half = x - LR * works[:, None] * (np.einsum("nij,nj->ni", A, x) - b)
        x = np.where(active[t][:, None], W[t] @ half, x)
        np.testing.assert_allclose(models[t], x, atol=1e-5)
        sent += (W[t] * (1 - np.eye(n)) != 0).sum(axis=0)
    np.testing.assert_array_equal(messages[-1], sent)


def class_of(name):
    schedule = cases.EACH[name]()
    memory = jax.eval_shape(schedule.init, jax.random.key(0))
    plan, _ = jax.eval_shape(schedule, memory, jax.ShapeDtypeStruct((), jnp.int32), jax.random.key(0))
    return type(plan.links).__name__, plan.stochastic, plan.symmetric, plan.active is not None


# On these the engine is executed: on all static forms and kinds and on what schedules draw where some are not active by
# the laws, on the last one and on groups here.
TRIED = {
    *((form, kind, False, False) for form in ("Dense", "Slots", "Edges") for kind in ("doubly", "row", "column")),
    *((form, "doubly", True, False) for form in ("Dense", "Slots", "Edges", "Groups")),
    ("Slots", "doubly", True, True),
    ("Groups", "doubly", True, True),
    ("Edges", "row", False, True),
    ("Circulant", "row", False, False),
}


def test_the_engine_was_tried_on_plans_of_every_class():
    other = {name: class_of(name) for name in cases.EACH if class_of(name) not in TRIED}
    assert not other, other


def test_dpsgd_multiplies_by_what_a_schedule_says():
    some = ["teleportation", "markov_links directed", "moshpit failing"]
    cases.all_hold(dpsgd_multiplies_by_what_the_schedule_says, [(name,) for name in some])


@pytest.mark.slow
@pytest.mark.parametrize("name", cases.EACH)
def test_dpsgd_multiplies_by_what_every_schedule_says(name):
    dpsgd_multiplies_by_what_the_schedule_says(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", cases.EACH)
def test_with_sleepers_and_lost_messages_rows_still_sum_to_one(name):
    # Equal models on equal data stay equal, whatever is lost; a symmetric plan keeps the mean too.
    schedule = cases.EACH[name]()
    built = simulation(Sleeping(schedule, 0.3), [jdl.exchange.Lossy(0.3)]).replace(
        algorithm=jdl.algorithms.DPSGD(lr=0.0)
    )
    symmetric = class_of(name)[2]
    run = jax.jit(lambda x: simulator.models(built, simulator.advance(built, simulator.init(built, x), ROUNDS)[0]))
    same = np.broadcast_to(np.float32([1.5, -2.25]), (schedule.n, 2))
    np.testing.assert_array_equal(run(same), same)
    x = start(schedule.n)
    after = np.asarray(run(x))
    assert np.all(np.isfinite(after))
    if symmetric:
        np.testing.assert_allclose(after.mean(axis=0), x.mean(axis=0), atol=1e-6)
    if not name.startswith("matcha"):  # whose W may have negative entries
        assert np.all(after <= x.max(axis=0) + 1e-6) and np.all(after >= x.min(axis=0) - 1e-6)
