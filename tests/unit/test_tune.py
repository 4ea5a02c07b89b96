"""The tuner finds what theory says is best, and leaves out what diverges."""

import jax
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
    one = built.replace(algorithm=built.algorithm.replace(lr=jnp.float32(0.4)))
    alone = jax.jit(jdl.simulate, static_argnums=(1, 2))(one, 5, 5, start)[1]
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


def test_halving_runs_the_best_to_the_end():
    """Of nine rates, the best three after two of six rounds; the best of all is among them, and is scored as alone."""
    built, start, values = simulation(), np.full(3, 10.0), np.geomspace(0.01, 0.9, 9)
    how = {"values": values, "params": start, "eval_every": 1}
    whole, found = (jdl.tune(built, 6, **how, halving=halving) for halving in (None, 3))
    assert found.value == pytest.approx(whole.value) and found.score == pytest.approx(whole.score, rel=1e-5)
    short = jdl.tune(built, 2, **how).scores
    third = np.argsort(whole.scores)[:3]
    given_up = np.setdiff1d(np.arange(9), np.argsort(short)[:3])
    np.testing.assert_allclose(found.scores[given_up], jdl.tune(built, 1, **how).scores[given_up], rtol=1e-5)
    assert found.scores[third[0]] == found.score
    steps = lambda history: jnp.min(jnp.diff(history["round"])).astype(float)  # no round is evaluated twice
    np.testing.assert_array_equal(jdl.tune(built, 6, **how, halving=3, score=steps).scores, 1.0)


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
        ({"values": 0.1}, "got values=0.1, need a list"),
        ({"values": [[0.1]]}, "need a list"),
        ({"values": ["a"]}, "need a list"),
        ({"values": [0.1, np.inf]}, "all finite"),
        ({"score": "accuracy"}, "got column of the history 'accuracy', which does not exist"),
        ({"score": "mean_accuracy"}, "got column of the history 'mean_accuracy'.*did you mean"),
        ({"score": rounds_until("worst_acuracy", 1)}, "got column of the history 'worst_acuracy'"),
        ({"score": lambda history: history["mean_loss"]}, r"need one number, f\[\]"),
        ({"score": 3}, "got score=3, need a column"),
        ({"score": rounds_until("suboptimality", -1.0)}, "none of which gives a finite score in 20 rounds; try more"),
        ({"refinements": -1}, "got refinements=-1"),
        ({"refinements": 1.5}, "got refinements=1.5"),
        ({"eval_every": 0}, "got eval_every=0"),
        ({"at_once": 0}, "got at_once=0"),
        ({"halving": 1}, "got halving=1"),
        ({"field": "local_steps", "values": [1, 2]}, "part of DPSGD's program, need a number of it: lr"),
        ({"field": "optimizer"}, "part of DPSGD's program"),
        ({"field": "decay"}, "part of DPSGD's program"),
        ({"field": "needs"}, "got number of DPSGD 'needs', which does not exist; did you mean lr"),
    ],
)
def test_refusals(options, words):
    with pytest.raises(jdl.checks.InputError, match=words):
        jdl.tune(simulation(), **({"rounds": 20} | options))


def test_of_scores_that_differ_by_rounding_the_smallest_value_counts():
    """After 60 rounds at curvature 1 every rate from 0.4 on has reached the optimum, and rounding alone is left."""
    problem = jdl.problems.quadratic(nodes=4, dim=3, condition=1.0)
    built = jdl.simulation(problem, jdl.algorithms.DPSGD(), jdl.topology.complete(4))
    found = jdl.tune(built, 60, score="suboptimality", values=[0.01, 0.4, 0.5, 0.7, 1.0, 1.2])
    assert found.value == pytest.approx(0.4) and len(repr(found)) < 120 and "6 values from 0.01 to 1.2" in repr(found)
