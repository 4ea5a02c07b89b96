"""The tuner finds what theory says is best, and leaves out what diverges."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import jdl
from jdl.runs.tune import rounds_until


def simulation(**options):
    problem = jdl.problems.quadratic(nodes=4, dim=3, condition=4.0, heterogeneity=0.0)
    return jdl.simulation(problem, jdl.algorithms.DPSGD(**options), jdl.topology.complete(4))


def test_the_best_rate_of_gradient_descent():
    """From 100 along each mode of curvature h, f - f* after T steps is the sum of h (100 (1 - r h)^T)^2 / 2."""
    built = simulation()
    curvatures, modes = np.linalg.eigh(np.asarray(built.problem.A).mean(0))
    start = 100 * modes.sum(1) + np.asarray(built.problem.optimum.params)
    found = jdl.tune(built, rounds=6, score="suboptimality", refinements=2, params=start)
    exact = [np.sum(curvatures / 2 * (100 * (1 - rate * curvatures) ** 6) ** 2) for rate in found.values]
    best = minimize_scalar(lambda r: np.sum(curvatures * (1 - r * curvatures) ** 12), bounds=(0, 4), method="bounded").x
    assert found.value == pytest.approx(best, rel=0.01)
    assert found.score == found.scores.min()
    np.testing.assert_allclose(found.scores[found.scores > 1], np.array(exact)[found.scores > 1], rtol=1e-3)


def test_rates_run_as_they_would_alone():
    built, start = simulation(), np.ones(3)
    found = jdl.tune(built, rounds=5, values=[0.1, 0.4], params=start, at_once=1)
    alone = jdl.simulate(built.replace(algorithm=built.algorithm.replace(lr=jnp.float32(0.4))), 5, 5, start)[1]
    assert found.scores[1] == pytest.approx(float(alone["mean_loss"][-1]), rel=1e-5)


def test_rounds_until_a_target():
    """One curvature: the error of rate r falls by (1 - r)^2 a round."""
    problem = jdl.problems.quadratic(nodes=2, dim=3, condition=1.0, heterogeneity=0.0)
    built = jdl.simulation(problem, jdl.algorithms.DPSGD(), jdl.topology.complete(2))
    start = np.asarray(problem.optimum.params) + np.array([2.0, 0, 0])
    found = jdl.tune(
        built, 30, values=[0.01, 0.5], score=rounds_until("suboptimality", 1e-3), eval_every=1, params=start
    )
    assert found.score == np.ceil(np.log(1e-3 / 2) / np.log(0.25)) and np.isinf(found.scores[0])
    assert rounds_until("suboptimality", 1e-3) is rounds_until("suboptimality", 0.001)


def test_another_number_than_the_rate():
    problem = jdl.problems.quadratic(nodes=4, dim=3)
    built = jdl.simulation(problem, jdl.algorithms.FedAvg(lr=0.3), None)
    found = jdl.tune(built, 5, field="server_lr", values=[0.01, 1.0])
    assert found.value == 1.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"field": "rate"}, "number of DPSGD"),
        ({"values": []}, "at least one"),
        ({"values": [0.1, -1]}, "above 0"),
        ({"values": [1e9, 1e10]}, "all diverge"),
    ],
)
def test_refusals(options, words):
    with pytest.raises(jdl.checks.InputError, match=words):
        jdl.tune(simulation(), **({"rounds": 20} | options))
