import jax
import jax.numpy as jnp
import numpy as np
import pytest
from draws import batch, draw

from jdl import checks, types
from jdl.problems import Quadratic, quadratic


@jax.jit
def node_grad(problem, x, id):
    return jax.grad(lambda x: problem.loss(x, problem.full_batch(id))[0])(x)


@jax.jit
def minibatch_grad(problem, x, id, key):
    return jax.grad(lambda x: problem.loss(x, problem.batch(id, draw(key)))[0])(x)


def test_it_is_a_problem():
    problem = quadratic(nodes=3, dim=2)
    assert isinstance(problem, types.Problem)
    assert problem.n == 3 and problem.num_examples.tolist() == [1, 1, 1]
    assert {leaf.dtype for leaf in jax.tree.leaves(problem)} == {jnp.dtype("float32")}


def test_gradient_is_that_of_the_formula(x64):
    problem = quadratic(nodes=5, dim=4, seed=1)
    x = problem.init(jax.random.key(0))
    grads = jax.jit(jax.vmap(lambda id: node_grad(problem, x, id)))(jnp.arange(5))
    expected = np.asarray(problem.A) @ np.asarray(x) - np.asarray(problem.b)
    np.testing.assert_allclose(grads, expected, rtol=0, atol=1e-13)


def test_mean_gradient_vanishes_at_the_optimum(x64):
    problem = quadratic(nodes=6, dim=7, condition=50.0, heterogeneity=3.0)
    optimum = problem.optimum
    grads = jax.jit(jax.vmap(lambda id: node_grad(problem, optimum.params, id)))(jnp.arange(6))
    np.testing.assert_allclose(jnp.mean(grads, axis=0), np.zeros(7), rtol=0, atol=1e-12)
    np.testing.assert_allclose(problem.evaluate(optimum.params)["loss"], optimum.loss, rtol=1e-12)


@pytest.mark.parametrize("condition", [1.0, 10.0, 1000.0])
def test_constants_against_numpy(x64, condition):
    problem = quadratic(nodes=4, dim=5, condition=condition, seed=2)
    values = np.linalg.eigvalsh(np.asarray(problem.A))
    np.testing.assert_allclose(problem.smoothness, values.max(), rtol=1e-12)
    np.testing.assert_allclose(problem.strong_convexity, values.min(), rtol=1e-9)
    # as asked, and alike for every node
    np.testing.assert_allclose(values[:, -1], 1, rtol=1e-12)
    np.testing.assert_allclose(values[:, 0], 1 / condition, rtol=1e-9)
    np.testing.assert_array_equal(problem.A, np.asarray(problem.A).swapaxes(1, 2))


@pytest.mark.parametrize("zeta_squared", [0.0, 1e-3, 1.0, 50.0])
def test_heterogeneity_is_exact(x64, zeta_squared):
    problem = quadratic(nodes=7, dim=5, heterogeneity=zeta_squared)
    A, b = np.asarray(problem.A), np.asarray(problem.b)
    x = np.linalg.solve(A.mean(axis=0), b.mean(axis=0))
    measured = np.mean(np.sum((A @ x - b) ** 2, axis=1))
    np.testing.assert_allclose(measured, zeta_squared, rtol=1e-10, atol=1e-20)
    np.testing.assert_allclose(problem.heterogeneity, zeta_squared, rtol=1e-10, atol=1e-20)


def test_one_node_has_no_heterogeneity(x64):
    assert float(quadratic(nodes=1, heterogeneity=5.0).heterogeneity) < 1e-25


def test_one_dimension():
    problem = quadratic(nodes=3, dim=1)
    np.testing.assert_allclose(problem.A, np.ones((3, 1, 1)), rtol=1e-6)


def test_noise_has_mean_zero_and_the_variance_asked(x64):
    sigma, draws, dim = 0.7, 20_000, 3
    problem = quadratic(nodes=2, dim=dim, noise=sigma)
    x, keys = jnp.ones(dim), jax.random.split(jax.random.key(5), draws)
    draws_of = jax.jit(jax.vmap(lambda key: minibatch_grad(problem, x, 1, key)))
    noise = np.asarray(draws_of(keys)) - np.asarray(node_grad(problem, x, 1))
    assert np.all(np.abs(noise.mean(axis=0)) < 5 * sigma / np.sqrt(draws))
    covariance = noise.T @ noise / draws  # each entry has variance sigma^4 / draws, twice that on the diagonal
    assert np.all(np.abs(covariance - sigma**2 * np.eye(dim)) < 5 * sigma**2 * np.sqrt(2 / draws))


def test_same_key_same_batch_and_no_noise_in_full_batches():
    problem = quadratic(nodes=2, dim=3, noise=1.0)
    one, same, other = (batch(problem, 0, draw(k))[1] for k in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(problem.full_batch(0)[1], problem.b[0])
    silent = quadratic(nodes=2, dim=3)
    np.testing.assert_array_equal(batch(silent, 0, draw(1))[1], silent.b[0])


def test_two_noise_levels_are_one_program():
    traces = []

    @jax.jit
    def gradient(problem, key):
        traces.append(1)
        return minibatch_grad(problem, jnp.ones(3), 0, key)

    for noise in (0.0, 0.5):
        gradient(quadratic(nodes=2, dim=3, noise=noise), jax.random.key(0))
    assert len(traces) == 1


def test_evaluate_is_the_mean_of_the_nodes(x64):
    problem = quadratic(nodes=4, dim=3)
    x = problem.init(jax.random.key(3))
    losses = jax.jit(jax.vmap(lambda id: problem.loss(x, problem.full_batch(id))[0]))(jnp.arange(4))
    np.testing.assert_allclose(problem.evaluate(x)["loss"], np.mean(losses), rtol=1e-12)


def test_pooled_is_one_node_with_the_global_objective(x64):
    problem = quadratic(nodes=4, dim=3, noise=0.3)
    pooled = problem.pooled()
    assert isinstance(pooled, Quadratic) and pooled.n == 1
    x = problem.init(jax.random.key(3))
    np.testing.assert_allclose(pooled.loss(x, pooled.full_batch(0))[0], problem.evaluate(x)["loss"], rtol=1e-12)
    np.testing.assert_allclose(pooled.optimum.params, problem.optimum.params, rtol=1e-10)
    assert float(pooled.heterogeneity) < 1e-25 and float(pooled.noise) == 0.3


def test_start_is_standard_normal(x64):
    x = np.asarray(quadratic(nodes=1, dim=200).init(jax.random.key(0)))
    assert abs(x.mean()) < 5 / np.sqrt(200) and abs(x.var() - 1) < 5 * np.sqrt(2 / 200)


def test_seed_names_the_draw():
    one, same, other = quadratic(seed=1), quadratic(seed=1), quadratic(seed=2)
    np.testing.assert_array_equal(one.A, same.A)
    assert not np.array_equal(one.A, other.A)


def test_refusals_say_what_to_do():
    with pytest.raises(checks.InputError, match=r"got nodes=0, need a whole number of at least 1; try nodes=1"):
        quadratic(nodes=0)
    with pytest.raises(checks.InputError, match=r"got dim=2.5, need a whole number"):
        quadratic(dim=2.5)
    with pytest.raises(checks.InputError, match=r"got condition=0.5, need a number of at least 1; try condition=1"):
        quadratic(condition=0.5)
    with pytest.raises(checks.InputError, match=r"got heterogeneity=-1.0, need a number of at least 0"):
        quadratic(heterogeneity=-1.0)
    with pytest.raises(checks.InputError, match=r"got noise=inf, need a finite number; try noise=0"):
        quadratic(noise=float("inf"))
    with pytest.raises(checks.InputError, match=r"got nodes=1000000000 with dim=1000, which needs about .* GiB"):
        quadratic(nodes=10**9, dim=1000)
