"""Limits of methods of a server without rounds, and the staleness that their clients report."""

import beds
import jax.numpy as jnp
import numpy as np
import pytest
import rows
from beds import N
from table import LR, T, X
from table_servers import SECONDS

import jdl
from jdl.schedule import Arrivals

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
