"""Ready-made metrics and numbers of every node: against scikit-learn, and against NumPy from the models at the end."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.calibration
import sklearn.metrics

import jdl
from jdl.engine import metrics
from jdl.engine.mapping import AT_ONCE
from jdl.engine.metrics import scored
from jdl.engine.totals import exact
from jdl.runs.per_node import kept_per_node

N, LIAR = 6, 2
HONEST = np.arange(N) != LIAR
NUMBERS = 64 * 10 + 10  # of the linear model


@pytest.fixture(scope="module")
def result():
    """A few rounds on a star of digits, one class rare for some: the models differ, and are calibrated badly."""
    problem = jdl.problems.digits(nodes=N, hidden=0, partition=jdl.data.partition.Dirichlet(0.3))
    return jdl.run(
        problem,
        jdl.algorithms.DPSGD(lr=1.0),
        jdl.topology.star(N),
        roles=jdl.roles.of(honest=HONEST),
        metrics={
            "balanced": metrics.balanced_accuracy,
            "calibration": metrics.calibration_error,
            "seven": metrics.calibration(bins=7),
            "ensemble": metrics.ensemble_accuracy,
            "disagreement": metrics.disagreement,
        },
        per_node=True,
        rounds=6,
        eval_every=3,
        progress=False,
    )


@pytest.fixture(scope="module")
def outputs(result):
    """The test classes, and the probabilities and the predictions of each model, in NumPy."""
    problem = result.simulation.problem
    kernel, bias = (np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(result.models)[::-1])
    logits = np.einsum("td,ndc->ntc", np.asarray(problem.test_x, np.float64), kernel) + bias[:, None]
    powers = np.exp(logits - logits.max(axis=2, keepdims=True))
    return np.asarray(problem.test_y), powers / powers.sum(axis=2, keepdims=True), logits.argmax(axis=2)


def calibration_of(y, probabilities, bins):
    """The expected calibration error from the bins of scikit-learn's `calibration_curve`, which leaves out empty ones.

    It is given confidences as probabilities of the event that the prediction is right.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == y
    share, mean = sklearn.calibration.calibration_curve(right, confidence, n_bins=bins)
    counts = np.histogram(-confidence, bins=-np.linspace(0, 1, bins + 1)[::-1])[0][::-1]  # (a, b], as scikit-learn's
    return np.sum(counts[counts > 0] * np.abs(share - mean)) / len(y)


def test_each_model_is_scored_as_by_scikit_learn(result, outputs):
    y, probabilities, predicted = outputs
    balanced = [sklearn.metrics.balanced_accuracy_score(y, one) for one in predicted]
    nodes = {name: values[-1] for name, values in result.history.nodes.items()}
    assert np.ptp(balanced) > 0.02
    np.testing.assert_allclose(nodes["balanced"], balanced, atol=1e-5)
    assert result.history.mean_balanced[-1] == pytest.approx(np.mean(np.array(balanced)[HONEST]), abs=1e-5)
    errors = [calibration_of(y, one, 15) for one in probabilities]
    assert max(errors) > 0.05
    np.testing.assert_allclose(nodes["calibration"], errors, atol=1e-5)
    np.testing.assert_allclose(nodes["seven"], [calibration_of(y, one, 7) for one in probabilities], atol=1e-5)
    assert metrics.calibration(7) is metrics.calibration(7)  # so that a second run is not compiled anew


def brute_force(y, probabilities, predicted):
    """The accuracy of the soft vote, and the mean disagreement over all pairs."""
    ensemble = np.mean(probabilities.mean(axis=0).argmax(axis=1) == y)
    pairs = [np.mean(a != b) for i, a in enumerate(predicted) for b in predicted[:i]]
    return ensemble, np.mean(pairs)


def test_peers_together_are_the_soft_vote_and_all_pairs_of_the_honest(result, outputs):
    y, probabilities, predicted = outputs
    ensemble, apart = brute_force(y, probabilities[HONEST], predicted[HONEST])
    assert result.history.ensemble[-1] == pytest.approx(ensemble, abs=1e-6)
    assert result.history.disagreement[-1] == pytest.approx(apart, rel=1e-5) and apart > 0.05
    assert result.history.disagreement[0] == 0  # equal models, to the last bit
    assert apart != pytest.approx(brute_force(y, probabilities, predicted)[1], rel=1e-2)


def test_parts_of_the_examples_and_of_the_models_give_the_same(result, outputs, monkeypatch):
    """Examples in parts of 7, with a rest of 3, and four models at a time, with a rest of two."""
    y, _, predicted = outputs
    assert len(y) % 7 == 3
    monkeypatch.setattr(scored, "EXAMPLES", 7)
    for module in (scored, metrics.peers_together):
        monkeypatch.setattr(module, "equal_parts", lambda count, most: most)
        monkeypatch.setattr(module, "models_at_once", lambda problem, models: 4)

    def measured(models, s):
        together = metrics.ensemble_accuracy(models, None, s), metrics.disagreement(models, None, s)
        return metrics.confusion(models, s), metrics.calibration_error(models, None, s), *together

    tables, errors, ensemble, apart = jax.jit(measured)(result.models, result.simulation)
    last = result.history
    for table, one in zip(tables, predicted, strict=True):
        np.testing.assert_array_equal(table, sklearn.metrics.confusion_matrix(y, one, labels=range(10)))
    np.testing.assert_allclose(errors, last.nodes["calibration"][-1], rtol=1e-5)
    assert float(ensemble) == last.ensemble[-1] and float(apart) == pytest.approx(last.disagreement[-1], rel=1e-5)


class Words:
    """A problem of one's own, of three classes, that offers a test set of tokens and nothing else."""

    offers = frozenset({"test_set"})
    classes, n = 3, 2
    test_set = {"text": jnp.arange(8.0).reshape(4, 2)}, jnp.array([[0, 1], [1, 1], [0, 0], [1, 0]])

    def evaluate(self, params, id=None):
        return {"loss": jnp.sum(params)}

    def predict(self, params, inputs):
        return {"logits": inputs["text"][..., None] * params[None, None]}


def test_a_problem_of_ones_own_serves_tokens_and_a_class_that_does_not_occur():
    models = jnp.array([[-1.0, 1.0, 0.5], [0.1, 0.0, 0.2]])
    problem = Words()
    assert jdl.problems.offers.of(problem) == {"test_set"}
    simulation = types.SimpleNamespace(problem=problem, who=jdl.roles.of(honest=np.ones(2, bool)), placement=AT_ONCE)
    y, predicted = np.asarray(problem.test_set[1]).ravel(), np.array([[0] + [1] * 7, [0] + [2] * 7])
    balanced = [np.mean([np.mean(one[y == c] == c) for c in (0, 1)]) for one in predicted]

    @jax.jit
    def measured(models, one):
        of = lambda name, models: getattr(metrics, name)(models, None, simulation)
        each = of("balanced_accuracy", models), of("balanced_accuracy", one)
        return *each, of("disagreement", models), of("disagreement", one), metrics.confusion(models, simulation)

    each, one, apart, alone, tables = measured(models, models[:1])
    np.testing.assert_allclose(each, balanced, rtol=1e-6)
    assert one.shape == () and float(one) == pytest.approx(balanced[0])
    assert float(apart) == pytest.approx(7 / 8) and float(alone) == 0
    assert tables[1].tolist() == [[1, 0, 3], [0, 0, 4], [0, 0, 0]] and tables.dtype == jnp.int32


def test_numbers_of_every_node(result, outputs):
    y, probabilities, predicted = outputs
    nodes = {name: values[-1] for name, values in result.history.nodes.items()}
    assert {"accuracy", "loss", "distance", "bits"} < nodes.keys()
    np.testing.assert_allclose(nodes["accuracy"], np.mean(predicted == y, axis=1), atol=1e-6)
    losses = [sklearn.metrics.log_loss(y, one, labels=range(10)) for one in probabilities]
    np.testing.assert_allclose(nodes["loss"], losses, rtol=1e-4)
    flat = np.concatenate([np.asarray(x, np.float64).reshape(N, -1) for x in jax.tree.leaves(result.models)], axis=1)
    apart = np.linalg.norm(flat - flat[HONEST].mean(axis=0), axis=1)
    np.testing.assert_allclose(nodes["distance"], apart, rtol=1e-4)
    np.testing.assert_array_equal(nodes["bits"], 6 * 32 * NUMBERS * np.array([N - 1] + [1] * (N - 1)))
    assert result.history.nodes["bits"][0].max() == 0 and nodes["bits"].sum() == result.history.bits_sent[-1]


def test_bits_are_exact_beyond_float32():
    assert exact(np.float32([[[2.0**40], [-3.0]], [[8.0], [1.0]]])).tolist() == [[2.0**40 + 3], [7.0]]


def test_of_a_sample_the_rest_is_nan_and_one_model_has_the_same_numbers_everywhere():
    problem, x = jdl.problems.quadratic(nodes=4, dim=3), jax.random.normal(jax.random.key(1), (4, 3))
    of = lambda models: metrics.measure(models, problem, per_node=("distance", "loss"), sample=jnp.array([0, 3]))
    some, one = jax.jit(lambda x: (of(x), of(x[:1])))(x)
    A, b, rows = (np.asarray(array, np.float64) for array in (problem.A.mean(0), problem.b.mean(0), x))
    losses = [row @ A @ row / 2 - b @ row if node in (0, 3) else np.nan for node, row in enumerate(rows)]
    np.testing.assert_allclose(some["nodes/loss"], losses, rtol=1e-5)
    np.testing.assert_allclose(some["nodes/distance"], np.linalg.norm(rows - rows.mean(0), axis=1), rtol=1e-5)
    assert one["nodes/loss"].tolist() == [float(one["mean_loss"])] * 4 and one["nodes/distance"].tolist() == [0.0] * 4
    assert not any(name.startswith("nodes/") for name in jax.eval_shape(lambda x: metrics.measure(x, problem), x))


def test_what_is_kept_has_one_order_and_false_is_nothing():
    problem = jdl.problems.quadratic(nodes=4, dim=3)
    shape = jax.ShapeDtypeStruct((3,), jnp.float32)
    assert kept_per_node(False, problem, shape) is None and kept_per_node([], problem, shape) is None
    assert kept_per_node(True, problem, shape) == ("bits", "distance", "loss")
    assert kept_per_node(("loss", "bits"), problem, shape) == kept_per_node({"bits", "loss"}, problem, shape)
    asked = ("own_loss", "drift", "loss")
    assert kept_per_node(asked, problem, shape, (("drift", max),), own=True) == ("loss",)


@pytest.mark.parametrize("method", [jdl.algorithms.DPSGD(lr=0.1), jdl.algorithms.GradientTracking(lr=0.1)])
def test_models_before_mixing_are_those_after_a_round_in_which_every_message_is_lost(method):
    """The exchange that loses all messages is another path of the engine."""
    parts = jdl.problems.quadratic(N, dim=3, noise=0.1), method, jdl.topology.star(N)
    awake = jdl.simulation(*parts, [jdl.exchange.Lossy(1.0)])
    plain = jdl.simulation(*parts)
    start = jax.random.normal(jax.random.key(3), (N, 3))
    state = jdl.sim.init(plain, start)
    lost, _ = jax.jit(jdl.sim.step)(awake, jdl.sim.init(awake, start))
    makers = metrics.before_mixing("loss", own=True), metrics.before_mixing(lambda models, *_: jnp.sum(models, axis=1))
    of = lambda s, state: (metrics.models_before_mixing(s, state), *(metric(start, state, s) for metric in makers))
    found, loss, sums = jax.jit(of)(plain, state)
    np.testing.assert_allclose(found, lost.nodes.x, rtol=1e-6)
    assert np.abs(np.asarray(found) - start).max() > 0.05
    A, b, x = (np.asarray(one, np.float64) for one in (parts[0].A, parts[0].b, found))
    np.testing.assert_allclose(loss, [x[i] @ A[i] @ x[i] / 2 - b[i] @ x[i] for i in range(N)], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(sums, x.sum(axis=1), rtol=1e-5, atol=1e-5)
