"""Metrics against NumPy; how many models are evaluated at a time changes nothing."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import checks
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
    monkeypatch.setattr(metrics.built_in, "models_at_once", lambda problem, models: at_once)
    chunked = jax.jit(lambda x: metrics.measure(x, problem))(x)
    for name, value in whole.items():
        np.testing.assert_allclose(chunked[name], value, rtol=1e-5, atol=1e-6)


def test_a_large_evaluation_goes_in_chunks(digits, monkeypatch):
    """As many at a time as their intermediate values fit; at least one, at most n."""
    problem, x = digits
    assert metrics.models_at_once(problem, x) == N
    logits = 360 * 10 * 4  # bytes that one evaluation surely makes
    monkeypatch.setattr(metrics.built_in, "EVALUATION_BYTES", 3 * logits)
    assert 1 <= metrics.models_at_once(problem, x) < 3
    monkeypatch.setattr(metrics.built_in, "EVALUATION_BYTES", 1)
    assert metrics.models_at_once(problem, x) == 1


def honest_nodes(*dishonest):
    return jnp.asarray([node not in dishonest for node in range(N)])


def test_dishonest_nodes_do_not_count():
    """The metrics are those of the honest rows alone, whatever the others hold; numbers f[n] are kept for all."""
    problem, x = jdl.problems.quadratic(nodes=N, dim=4), models(4)
    kept = np.array([0, 2, 3, 5, 6])
    A, b = np.asarray(problem.A, np.float64), np.asarray(problem.b, np.float64)
    rows = np.asarray(x, np.float64)[kept]
    f = lambda x, A, b: x @ A @ x / 2 - b @ x
    losses = np.array([f(row, A.mean(0), b.mean(0)) for row in rows])
    own = np.array([f(x, A[i], b[i]) for i, x in zip(kept, rows, strict=True)])
    expected = {
        "mean_model_loss": f(rows.mean(0), A.mean(0), b.mean(0)),
        "mean_loss": losses.mean(),
        "std_loss": losses.std(),
        "worst_loss": losses.max(),
        "best_loss": losses.min(),
        "own_loss": own.mean(),
        "worst_own_loss": own.max(),
        "consensus_distance": np.mean(np.sum((rows - rows.mean(0)) ** 2, axis=1)),
    }
    measure_own = jax.jit(functools.partial(metrics.measure, own=True))
    row = measure_own(x.at[1].set(jnp.nan).at[4].set(1e6), problem, honest=honest_nodes(1, 4))
    for name, value in expected.items():
        assert float(row[name]) == pytest.approx(value, rel=1e-4, abs=1e-5), name
    np.testing.assert_allclose(np.asarray(row["nodes/own_loss"])[kept], own, rtol=1e-4, atol=1e-5)
    assert np.isnan(row["nodes/own_loss"][1])
    everybody = measure_own(x, problem, honest=honest_nodes())
    for name, value in measure_own(x, problem).items():
        np.testing.assert_allclose(everybody[name], value, rtol=1e-5, atol=1e-5, err_msg=name)


def test_honest_nodes_that_agree_are_at_distance_zero():
    x = jnp.full((N, 3), jnp.float32(1e3)).at[2].set(-7.0)
    assert float(metrics.consensus_distance(x, honest_nodes(2))) == 0
    assert float(metrics.consensus_distance(x, honest_nodes(5))) > 0


def test_one_model_that_serves_all_is_measured_at_every_node():
    problem, x = jdl.problems.quadratic(nodes=N, dim=4), models(4)[:1]
    row = metrics.measure(x, problem, own=True, honest=honest_nodes(0))
    A, b, one = (np.asarray(array, np.float64) for array in (problem.A, problem.b, x[0]))
    own = [one @ A[i] @ one / 2 - b[i] @ one for i in range(N)]
    np.testing.assert_allclose(row["nodes/own_loss"], own, rtol=1e-4, atol=1e-5)
    assert float(row["own_loss"]) == pytest.approx(np.mean(own[1:]), rel=1e-4, abs=1e-5)
    # The mean over all nodes' objectives is the global one, and a server's model is no dishonest node's.
    assert float(row["mean_loss"]) == pytest.approx(np.mean(own), rel=1e-4, abs=1e-5)


def test_own_accuracy_shows_what_the_pooled_test_set_hides():
    """Clusters label digits by y and by 9 - y: alone, nodes learn their own labels, of which half the pool is wrong."""
    data = jdl.data.generators.clustered_concepts(jdl.data.load("digits"), owners=8, rule="reversed")
    cluster, nodes = data.truth["cluster"], data.train_owner
    data = data._replace(train_owner=cluster[nodes], test_owner=cluster[data.test_owner])
    problem = jdl.problems.supervised(data, nodes=8, model="linear", partition=nodes)
    found = jdl.run(problem, jdl.algorithms.LocalOnly(lr=1.0), rounds=60, eval_every=60, own=True, progress=False)
    history, y = found.history, data.test_y
    kernel, bias = (np.asarray(leaf) for leaf in jax.tree.leaves(found.models)[::-1])
    hits = np.argmax(np.einsum("td,ndc->ntc", data.test_x, kernel) + bias[:, None], axis=2) == y
    own = [hits[node, data.test_owner == cluster[node]].mean() for node in range(8)]
    np.testing.assert_allclose(history.nodes["own_accuracy"][-1], own, atol=1e-6)
    assert history.own_accuracy[-1] == pytest.approx(np.mean(own)) and np.mean(own) > 0.87
    assert history.worst_own_accuracy[-1] == pytest.approx(min(own))
    assert history.mean_accuracy[-1] == pytest.approx(hits.mean()) and hits.mean() < 0.5
    assert "accuracy on own data: mean 8" in repr(found)


def largest(models, state, simulation):
    return jnp.max(jnp.abs(models))


def drift(models, state, simulation):
    return jnp.sum(jnp.square(models), axis=1)


def test_metrics_of_ones_own_are_columns_and_numbers_of_every_node():
    problem, x = jdl.problems.quadratic(nodes=N, dim=4), models(4)
    simulation = types.SimpleNamespace(problem=problem)
    functions = (("largest", largest), ("drift", drift), ("node", lambda *_: jnp.arange(N)))
    row = metrics.users(functions, x.at[3].set(jnp.nan), None, simulation, honest_nodes(3))
    square = np.delete(np.sum(np.square(np.asarray(x, np.float64)), axis=1), 3)
    expected = {"mean_drift": square.mean(), "std_drift": square.std(), "min_drift": square.min()}
    for name, value in (expected | {"max_drift": square.max(), "mean_node": (21 - 3) / 6, "max_node": 6}).items():
        assert float(row[name]) == pytest.approx(value, rel=1e-5), name
    assert np.isnan(row["largest"]) and "drift" not in row and row["nodes/drift"].shape == (N,)
    assert metrics.users(functions[:1], x, None, simulation) == {"largest": jnp.max(jnp.abs(x))}


@pytest.mark.parametrize(
    ("functions", "sentence"),
    [
        ((("drift", lambda *_: jnp.zeros((N, 2))),), r"got metric 'drift' of shape \(7, 2\).*one for each of 7 nodes"),
        ((("drift", lambda *_: jnp.zeros((), complex)),), r"got metric 'drift' of shape \(\) and type complex"),
        ((("drift", drift), ("mean_drift", largest)), r"got metric 'mean_drift', whose column mean_drift exists"),
    ],
)
def test_metrics_of_ones_own_that_cannot_be_columns_are_refused(functions, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        metrics.users(functions, models(4), None, types.SimpleNamespace(problem=jdl.problems.quadratic(nodes=N, dim=4)))
