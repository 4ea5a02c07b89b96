"""Limits of methods of a server without rounds, and the staleness that their clients report."""

import beds
import jax.numpy as jnp
import numpy as np
import numpy_asynchronous as asynchronous
import pytest
import rows
import table_servers
from beds import N
from table import LR, T, X
from table_servers import SECONDS

import jdl
from jdl.schedule import Arrivals, Compass

pytestmark = pytest.mark.usefixtures("x64")


def test_fedbuff_of_all_at_equal_speeds_is_fedavg_bit_for_bit():
    """With s = 1, though nobody is stale then. All begin together, and arrive together."""
    fedavg = rows.run("FedAvg unweighted")
    problem = rows.problem_of("FedAvg unweighted", noise=rows.NOISE)
    method = jdl.algorithms.FedBuff(
        lr=LR, buffer=N, power=0.0, local_steps=rows.method("FedAvg unweighted").local_steps
    )
    talk = Arrivals.of(np.ones(N), T, buffer=N)
    fedbuff = beds.record(jdl.simulation(problem, method, talk), X[0])
    assert np.array_equal(fedbuff.models, fedavg.models) and np.ptp(fedbuff.models) > 1
    assert np.array_equal(fedbuff.nodes.version[-1], np.full(N, T))


def test_fedasync_of_one_client_with_mixing_one_is_sgd():
    problem = beds.quadratic(n=1)
    method = jdl.algorithms.FedAsync(lr=LR, mixing=1.0, rho=0.0)
    run = beds.record(jdl.simulation(problem, method, Arrivals.of([2.5], T)), X[0])
    A, b = np.asarray(problem.A)[0], np.asarray(problem.b)[0]
    expected = [X[0]]
    for _ in range(T):
        expected.append(expected[-1] - LR * (A @ expected[-1] - b))
    beds.same(run.models[:, 0], np.array(expected), 1e-12)


def test_reported_staleness_is_that_of_the_plan_and_a_round_costs_an_arrival():
    """Clients report how many steps the server took since they pulled: arrivals since their last one."""
    plan = Arrivals.of(SECONDS, T)
    method = jdl.algorithms.FedAsync(lr=jnp.asarray(LR))
    result = jdl.run(beds.quadratic(), method, plan, rounds=T, eval_every=1)
    clients, last, expected = np.asarray(plan.clients)[:, 0], np.full(N, -1), []
    for t, client in enumerate(clients):
        expected.append(t - 1 - last[client])
        last[client] = t
    reported = np.asarray(result.history["staleness"])[-T:]
    assert np.array_equal(np.bincount(reported.astype(int)), np.bincount(expected))
    assert np.array_equal(reported, expected) and max(expected) > 10


def test_async_diloco_without_delay_of_all_at_once_is_diloco():
    diloco = rows.run("DiLoCo sgd")
    problem = rows.problem_of("DiLoCo sgd", noise=rows.NOISE)
    method = jdl.algorithms.AsyncDiLoCo(lr=LR, delay=1, **rows.ROWS["DiLoCo sgd"].fields)
    talk = Arrivals.of(np.ones(N), T, buffer=N)
    beds.same(beds.record(jdl.simulation(problem, method, talk), X[0]).models, diloco.models, 1e-12)


def test_cdfl_of_one_cluster_is_fedasync():
    """The first rows are served the newest model of the one cluster, as the server's own."""
    methods = (
        jdl.algorithms.CDFL(lr=LR, clusters=1, local_steps=2),
        jdl.algorithms.FedAsync(lr=LR, rho=0.0, local_steps=2),
    )
    runs = [beds.record(jdl.simulation(beds.quadratic(), one, Arrivals.of(SECONDS, T)), X[0]) for one in methods]
    beds.same(runs[0].models, np.broadcast_to(runs[1].models, runs[0].models.shape), 1e-12)
    assert np.array_equal(runs[0].nodes.pulled.version, runs[1].nodes.version)


def test_cdfl_recovers_planted_clusters():
    """Two groups of clients with one optimum each: mixtures become one-hot, and users are served their optimum."""
    optima = np.array([np.ones(3), -np.ones(3)])
    group = np.array([0, 1, 1, 0, 1, 0, 0, 1])
    problem = jdl.problems.quadratic(N, dim=3).replace(A=jnp.stack([jnp.eye(3)] * N), b=jnp.asarray(optima[group]))
    method = jdl.algorithms.CDFL(lr=0.2, sharpness=8.0)
    run = beds.record(jdl.simulation(problem, method, Arrivals.of(SECONDS, 300)), np.zeros(3), rounds=300)
    u = np.asarray(run.server.mixtures)[-1]
    of_first = np.argmax(u[0])
    assert np.all(np.argmax(u, axis=1) == np.where(group == 0, of_first, 1 - of_first)) and u.max(axis=1).min() > 0.99
    assert np.abs(run.models[-1] - optima[group]).max() < 0.02


@pytest.mark.parametrize("known", [False, True])
def test_groups_of_compass_are_those_of_an_event_loop_of_its_own(known):
    """Under constant and log-normal times, patience from none to much, and clients that finish in the same second."""
    rng, late = np.random.default_rng(int(known)), 0
    for trial in range(12):
        n, least = int(rng.integers(1, 9)), int(rng.integers(1, 4))
        step = rng.choice([0.5, 1.0, 1.25, 2.0, 3.1, 7.0], n) if trial % 2 else rng.uniform(0.2, 3.0, n)
        most, patience, m = least + int(rng.integers(0, 12)), rng.choice([1.0, 1.05, 1.2, 2.0]), rng.choice([0.3, 1.0])
        law = "log_normal" if trial % 3 else "constant"
        factor = table_servers.lognormal(0.4, trial) if trial % 3 else lambda: 1.0
        expected = asynchronous.compass(step, 100, least, most, patience, m, factor, known)
        plan = Compass.of(step, 100, least, most, patience, m, known, law, 0.4, trial)
        for t, (clients, steps, is_late, second) in enumerate(expected):
            used = np.asarray(plan.used[t])
            assert np.asarray(plan.clients[t])[used].tolist() == clients and bool(plan.late[t]) == is_late
            assert np.asarray(plan.steps[t])[used].tolist() == [steps[i] for i in clients]
            assert abs(plan.seconds_at[t + 1] - second) < 1e-6
            late += is_late
    assert late > 100


def test_members_of_a_group_take_steps_in_proportion_to_their_speed_and_arrive_within_one():
    step = np.array([1.0, 1.5, 2.0, 2.9, 4.0])
    plan = Compass.of(step, 12, least=2, most=12, known=True)
    assert np.all(plan.used) and np.all(np.asarray(plan.steps) == [12, 8, 6, 4, 3]) and not np.any(plan.late)
    took = step * np.asarray(plan.steps)[0]
    assert np.array_equal(plan.seconds_at, 12.0 * np.arange(13)) and np.all(took > 12 - step) and took.max() == 12


def test_fedcompass_of_equal_clients_is_fedavg():
    fedavg = rows.run("FedAvg unweighted")
    problem = rows.problem_of("FedAvg unweighted", noise=rows.NOISE)
    H = rows.method("FedAvg unweighted").local_steps
    method = jdl.algorithms.FedCompass(lr=LR, mixing=1.0, discount="constant", local_steps=H)
    talk = Compass.of(np.full(N, 0.3), T, least=1, most=H, known=True)
    assert np.all(talk.used) and np.all(talk.steps == H)
    beds.same(beds.record(jdl.simulation(problem, method, talk), X[0]).models, fedavg.models, 1e-12)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"seconds_per_step": [1.0, 0.0]}, "got seconds_per_step=0 of node 1"),
        ({"seconds_per_step": 1.0}, "need one time for each client"),
        ({"least": 0}, "least"),
        ({"least": 5, "most": 4}, "with least=5 need a whole number of at least 5"),
        ({"latest": 0.5}, "latest"),
        ({"momentum": 2.0}, "momentum"),
        ({"law": "normal"}, "normal"),
    ],
)
def test_what_compass_refuses(options, sentence):
    with pytest.raises(jdl.checks.InputError, match=sentence):
        Compass.of(**({"seconds_per_step": [1.0, 2.0], "rounds": 4} | options))
