import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from draws import batch, draw, full_batch

from jdl import checks, types
from jdl.problems import Logistic, logistic

COUNTS = np.array([3, 0, 5, 1])


def uneven(batch_size=0, fill=0.0):
    """Four nodes of unequal size, one without data; the padding holds `fill`."""
    rng = np.random.default_rng(0)
    features, labels = rng.standard_normal((4, 6, 3)), np.sign(rng.standard_normal((4, 6)))
    padding = np.arange(6) >= COUNTS[:, None]
    features[padding], labels[padding] = fill, 1.0 if fill else 0.0
    return Logistic.from_arrays(features, labels, COUNTS, regularization=0.2, batch_size=batch_size)


def objective(problem, x):
    """The global objective by its definition, node after node."""
    values, reg = [], float(problem.regularization)
    arrays = (problem.features, problem.labels, problem.num_examples)
    for a, y, count in zip(*map(np.asarray, arrays), strict=True):
        a, y = a[:count], y[:count]
        if count:
            values.append(np.mean(np.log1p(np.exp(-y * (a @ x)))) + reg / 2 * x @ x)
    return np.mean(values)


@jax.jit
def node_loss(problem, x, id):
    return problem.loss(x, problem.full_batch(id))[0]


@jax.jit
def node_grad(problem, x, id):
    return jax.grad(lambda x: problem.loss(x, problem.full_batch(id))[0])(x)


@jax.jit
def minibatch_grad(problem, x, id, key):
    return jax.grad(lambda x: problem.loss(x, problem.batch(id, draw(key)))[0])(x)


@pytest.mark.parametrize("make", [logistic, uneven])
def test_mean_gradient_vanishes_at_the_optimum(x64, make):
    problem = make()
    assert isinstance(problem, types.Problem)
    grads = jax.jit(jax.vmap(lambda id: node_grad(problem, problem.optimum.params, id)))(jnp.arange(problem.n))
    assert np.linalg.norm(np.mean(grads, axis=0)) < 1e-10


@pytest.mark.parametrize("make", [lambda: logistic(nodes=3, dim=4, examples=9, heterogeneity=3.0), uneven])
def test_optimum_against_scipy(x64, make):
    problem = make()
    found = scipy.optimize.minimize(
        lambda x: objective(problem, x), np.ones(problem.features.shape[2]), method="BFGS", options={"gtol": 1e-7}
    )
    np.testing.assert_allclose(problem.optimum.params, found.x, rtol=0, atol=1e-5)
    np.testing.assert_allclose(problem.optimum.loss, found.fun, rtol=1e-10)
    np.testing.assert_allclose(problem.optimum.loss, objective(problem, problem.optimum.params), rtol=1e-12)


def test_optimum_in_single_precision_belongs_to_the_rounded_arrays():
    problem = logistic()
    assert {leaf.dtype for leaf in jax.tree.leaves(problem)} == {jnp.dtype("float32"), jnp.dtype("int32")}
    grads = jax.jit(jax.vmap(lambda id: node_grad(problem, problem.optimum.params, id)))(jnp.arange(16))
    assert np.linalg.norm(np.mean(grads, axis=0)) < 1e-6


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_newton_converges_on_separable_data(x64, scale):
    # One point each of the classes +1 and -1 at a and -a: the optimum solves reg x = scale / (1 + exp(scale x)).
    features = scale * np.array([[[1.0], [-1.0]]])
    problem = Logistic.from_arrays(features, np.array([[1.0, -1.0]]), np.array([2]), regularization=1e-3)
    x = float(problem.optimum.params[0])
    root = scipy.optimize.brentq(lambda x: 1e-3 * x - scale / (1 + np.exp(scale * x)), 0, 20, xtol=1e-14)
    np.testing.assert_allclose(x, root, rtol=1e-7)


def test_masked_gradient_equals_the_unpadded_one(x64):
    problem, x = uneven(fill=1e3), jnp.array([0.3, -1.0, 0.5])
    grads = np.asarray(jax.jit(jax.vmap(lambda id: node_grad(problem, x, id)))(jnp.arange(4)))
    for id, count in enumerate(COUNTS):
        if count == 0:
            np.testing.assert_array_equal(grads[id], 0)
            assert float(node_loss(problem, x, id)) == 0
            continue
        a, y = np.asarray(problem.features)[id, :count], np.asarray(problem.labels)[id, :count]
        sigmoid = 1 / (1 + np.exp(y * (a @ np.asarray(x))))
        expected = -(a * (y * sigmoid)[:, None]).mean(axis=0) + 0.2 * np.asarray(x)
        np.testing.assert_allclose(grads[id], expected, rtol=1e-12)


def test_evaluate_is_the_mean_over_nodes_with_data(x64):
    problem, x = uneven(), np.array([0.3, -1.0, 0.5])
    np.testing.assert_allclose(problem.evaluate(jnp.asarray(x))["loss"], objective(problem, x), rtol=1e-12)


def test_smoothness_bounds_and_meets_every_hessian(x64):
    problem = uneven()
    hessian = jax.jit(jax.hessian(lambda x, id: problem.loss(x, problem.full_batch(id))[0]))
    # At x = 0 every sigmoid has slope 1/4: there the bound is attained.
    largest = [np.linalg.eigvalsh(hessian(jnp.zeros(3), id)).max() for id in range(4)]
    np.testing.assert_allclose(problem.smoothness, max(largest), rtol=1e-12)
    for id in (0, 2, 3):
        values = np.linalg.eigvalsh(hessian(jnp.array([2.0, -1.0, 0.5]), id))
        assert values.max() < problem.smoothness and values.min() >= problem.strong_convexity - 1e-12


def test_heterogeneity_by_its_definition(x64):
    problem = uneven()
    x = np.asarray(problem.optimum.params)
    squares = []
    for id in (0, 2, 3):
        grad = scipy.optimize.approx_fprime(x, lambda x, id=id: float(node_loss(problem, x, id)))
        squares.append(np.sum(grad**2))
    np.testing.assert_allclose(problem.heterogeneity, np.mean(squares), rtol=1e-5)


def test_heterogeneity_grows_with_its_knob():
    values = [float(logistic(examples=256, heterogeneity=knob).heterogeneity) for knob in (0.0, 1.0, 3.0)]
    assert values[0] * 5 < values[1] < values[2]


@pytest.mark.parametrize("batch_size", [0, 3])
def test_pooled_objective_equals_the_global_one(x64, batch_size):
    problem = uneven(batch_size)
    pooled = problem.pooled()
    assert pooled.n == 1 and pooled.num_examples.tolist() == [9] and pooled.features.shape == (1, 9, 3)
    for x in np.random.default_rng(1).standard_normal((3, 3)):
        loss = node_loss(pooled, jnp.asarray(x), 0)
        np.testing.assert_allclose(loss, objective(problem, x), rtol=1e-12)
        np.testing.assert_allclose(pooled.evaluate(jnp.asarray(x))["loss"], loss, rtol=1e-12)
    assert float(pooled.heterogeneity) < 1e-18
    assert pooled.batch_size == batch_size


def test_full_batches_stay_full_when_pooled():
    assert uneven(batch_size=6).pooled().batch_size == 0


@pytest.mark.parametrize("pool", [False, True])
def test_minibatch_gradients_are_unbiased(x64, pool):
    draws = 20_000
    problem, x = uneven(batch_size=4), jnp.array([0.3, -1.0, 0.5])
    problem, id = (problem.pooled(), 0) if pool else (problem, 2)
    keys = jax.random.split(jax.random.key(0), draws)
    grads = np.asarray(jax.jit(jax.vmap(lambda key: minibatch_grad(problem, x, id, key)))(keys))
    error = grads.std(axis=0) / np.sqrt(draws)
    assert np.all(error > 0)
    assert np.all(np.abs(grads.mean(axis=0) - node_grad(problem, x, id)) < 5 * error)


def test_minibatches_take_the_nodes_own_rows():
    problem = uneven(batch_size=4)
    for id in range(4):
        features, labels, weights = batch(problem, id, draw(id))
        assert features.shape == (4, 3) and labels.shape == weights.shape == (4,)
        own = {row.tobytes() for row in np.asarray(problem.features)[id, : COUNTS[id]]}
        assert COUNTS[id] == 0 or {row.tobytes() for row in np.asarray(features)} <= own
        np.testing.assert_allclose(weights, np.full(4, 0.25 if COUNTS[id] else 0.0), rtol=1e-6)
    empty = minibatch_grad(problem, jnp.ones(3), 1, jax.random.key(0))
    np.testing.assert_array_equal(empty, np.zeros(3))
    one, same, other = (batch(problem, 2, draw(k))[0] for k in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("batch_size", [0, 6, 100])
def test_a_full_batch_draws_nothing(batch_size):
    problem = uneven(batch_size)
    assert "random" not in str(jax.make_jaxpr(problem.batch)(0, draw(0)))
    for drawn, whole in zip(batch(problem, 2, draw(0)), full_batch(problem, 2), strict=True):
        np.testing.assert_array_equal(drawn, whole)


def test_a_minibatch_does_draw():
    assert "random" in str(jax.make_jaxpr(uneven(batch_size=2).batch)(0, draw(0)))


def test_labels_follow_the_teacher():
    # Without heterogeneity and with many examples the optimum with a small penalty nears one teacher for all nodes.
    few, many = (logistic(nodes=2, examples=m, heterogeneity=0.0, regularization=1e-4) for m in (2_000, 20_000))
    assert many.labels.shape == (2, 20_000) and set(np.unique(many.labels)) == {-1.0, 1.0}
    teacher = np.random.default_rng(0).standard_normal(10)
    gap = [np.linalg.norm(np.asarray(problem.optimum.params) - teacher) for problem in (few, many)]
    assert gap[1] < gap[0] and gap[1] < 0.25 * np.linalg.norm(teacher)


def test_refusals_say_what_to_do():
    with pytest.raises(checks.InputError, match=r"got nodes=0, need a whole number of at least 1; try nodes=1"):
        logistic(nodes=0)
    with pytest.raises(checks.InputError, match=r"got examples=0, need a whole number of at least 1"):
        logistic(examples=0)
    with pytest.raises(checks.InputError, match=r"got batch_size=-1, need a whole number of at least 0"):
        logistic(batch_size=-1)
    with pytest.raises(checks.InputError, match=r"got regularization=0.0, a unique optimum needs .*try regularization"):
        logistic(regularization=0.0)
    with pytest.raises(checks.InputError, match=r"got heterogeneity=-1.0, need a number of at least 0"):
        logistic(heterogeneity=-1.0)
    with pytest.raises(checks.InputError, match=r"got nodes=1000000000 with examples=1000 and dim=10, which needs"):
        logistic(nodes=10**9, examples=1000)
    features, labels = np.ones((2, 3, 4)), np.ones((2, 3))
    with pytest.raises(checks.InputError, match=r"got features \(2, 3, 4\), labels \(2, 2\).*pad every node"):
        Logistic.from_arrays(features, labels[:, :2], np.array([3, 3]))
    with pytest.raises(checks.InputError, match=r"got num_examples from 0 to 0, need them between 0 and m=3"):
        Logistic.from_arrays(features, labels, np.array([0, 0]))
    with pytest.raises(checks.InputError, match=r"got num_examples from 1 to 4"):
        Logistic.from_arrays(features, labels, np.array([1, 4]))
    with pytest.raises(checks.InputError, match=r"got labels other than -1 and 1.*try 2 \* labels - 1"):
        Logistic.from_arrays(features, labels * 0, np.array([3, 3]))
    with pytest.raises(checks.InputError, match=r"only to gradient norm .*, need 1e-10; scale the features"):
        Logistic.from_arrays(1e12 * features, labels * [[1, -1, 1]], np.array([3, 3]))
