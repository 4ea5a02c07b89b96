"""Metrics against NumPy; how many models are evaluated at a time changes nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl.engine import metrics

N = 7
measure = jax.jit(metrics.measure)


def models(dim, seed=0):
    return jnp.asarray(np.random.default_rng([seed, 5]).standard_normal((N, dim)), jnp.float32)


def test_consensus_distance_over_a_tree():
    x = {"a": models(3), "b": models(4, 1).reshape(N, 2, 2)}
    flat = np.concatenate([np.asarray(x["a"]), np.asarray(x["b"]).reshape(N, 4)], axis=1)
    expected = np.mean(np.sum((flat - flat.mean(0)) ** 2, axis=1))
    assert float(metrics.consensus_distance(x)) == pytest.approx(expected, rel=1e-6)
    equal = jnp.broadcast_to(jnp.float32(1e3), (N, 3))
    assert float(metrics.consensus_distance(equal)) == 0


def test_losses_and_suboptimality_of_a_quadratic():
    problem, x = jdl.problems.quadratic(nodes=N, dim=4), models(4)
    A, b = np.asarray(problem.A, np.float64).mean(0), np.asarray(problem.b, np.float64).mean(0)
    f = lambda x: x @ A @ x / 2 - b @ x
    losses = np.array([f(row) for row in np.asarray(x, np.float64)])
    row = measure(x, problem)
    at_mean = f(np.asarray(x, np.float64).mean(0))
    expected = {
        "mean_model_loss": at_mean,
        "mean_loss": losses.mean(),
        "std_loss": losses.std(),
        "worst_loss": losses.max(),
        "best_loss": losses.min(),
        "suboptimality": at_mean - f(np.linalg.solve(A, b)),
        "consensus_distance": np.mean(np.sum((np.asarray(x) - np.asarray(x).mean(0)) ** 2, axis=1)),
    }
    assert set(row) == set(expected)
    for name, value in expected.items():
        assert float(row[name]) == pytest.approx(value, rel=1e-4, abs=1e-5), name


@pytest.fixture(scope="module")
def digits():
    problem = jdl.problems.digits(nodes=N, hidden=0)
    shapes = jax.eval_shape(problem.init, jax.random.key(0))
    draw = lambda x: (0.3 * np.random.default_rng(0).standard_normal((N, *x.shape))).astype(x.dtype)
    return problem, jax.tree.map(draw, shapes)


def test_accuracies_of_a_classifier(digits):
    problem, x = digits
    row, evaluate = measure(x, problem), jax.jit(problem.evaluate)
    one = [evaluate(jax.tree.map(lambda leaf, i=i: leaf[i], x)) for i in range(N)]
    accuracy = np.array([float(result["accuracy"]) for result in one])
    loss = np.array([float(result["loss"]) for result in one])
    assert float(row["worst_accuracy"]) == pytest.approx(accuracy.min())
    assert float(row["best_accuracy"]) == pytest.approx(accuracy.max())
    assert float(row["mean_accuracy"]) == pytest.approx(accuracy.mean(), rel=1e-5)
    assert float(row["std_accuracy"]) == pytest.approx(accuracy.std(), rel=1e-4)
    assert float(row["worst_loss"]) == pytest.approx(loss.max(), rel=1e-5)
    assert accuracy.max() > accuracy.min() and "suboptimality" not in row


@pytest.mark.parametrize("at_once", [1, 3])
def test_evaluation_in_chunks_is_the_same(digits, monkeypatch, at_once):
    problem, x = digits
    whole = measure(x, problem)
    monkeypatch.setattr(metrics, "models_at_once", lambda problem, models: at_once)
    chunked = jax.jit(lambda x: metrics.measure(x, problem))(x)
    for name, value in whole.items():
        np.testing.assert_allclose(chunked[name], value, rtol=1e-5, atol=1e-6)


def test_a_large_evaluation_goes_in_chunks(digits, monkeypatch):
    """As many at a time as their intermediate values fit; at least one, at most n."""
    problem, x = digits
    assert metrics.models_at_once(problem, x) == N
    logits = 360 * 10 * 4  # bytes that one evaluation surely makes
    monkeypatch.setattr(metrics, "EVALUATION_BYTES", 3 * logits)
    assert 1 <= metrics.models_at_once(problem, x) < 3
    monkeypatch.setattr(metrics, "EVALUATION_BYTES", 1)
    assert metrics.models_at_once(problem, x) == 1
