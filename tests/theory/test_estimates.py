"""Constants measured from a problem, and the mixing of a run: against exact values and brute force."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl.checks import InputError
from jdl.theory import (
    GradientNoise,
    gradient_diversity,
    gradient_noise,
    heterogeneity,
    neighbourhood_heterogeneity,
    node_gradients,
    realised_gap,
    realised_rounds,
    sigma_2,
    smoothness,
    strong_convexity,
)

N, DIM = 4, 3
QUADRATIC = jdl.problems.quadratic(N, dim=DIM, condition=5.0, heterogeneity=2.0, noise=0.5)
POINT = jnp.array([1.0, -2.0, 0.5])


@pytest.fixture(scope="module")
def logistic():
    return jdl.problems.logistic(N, dim=DIM, examples=8, batch_size=2)


def by_hand(problem, x):
    """Gradients of every example [n, m, d] and Hessians [n, d, d] of logistic regression, in NumPy."""
    a, y, reg = (np.asarray(part, np.float64) for part in (problem.features, problem.labels, problem.regularization))
    chance = 1 / (1 + np.exp(y * (a @ x)))
    each = -(chance * y)[..., None] * a + reg * x
    hessians = np.einsum("nm,nmd,nme->nde", chance * (1 - chance), a, a) / a.shape[1] + reg * np.eye(x.size)
    return each, hessians


def test_gradients_of_quadratics_are_exact():
    A, b, x = (np.asarray(part, np.float64) for part in (QUADRATIC.A, QUADRATIC.b, POINT))
    exact = A @ x - b
    assert node_gradients(QUADRATIC, POINT) == pytest.approx(exact, abs=1e-5)
    spread = np.mean(np.sum((exact - exact.mean(0)) ** 2, axis=1))
    assert heterogeneity(QUADRATIC, POINT) == pytest.approx(spread, rel=1e-4)
    assert heterogeneity(QUADRATIC) == pytest.approx(2.0, rel=1e-4) == pytest.approx(float(QUADRATIC.heterogeneity))
    diversity = np.sum(exact**2) / np.sum(exact.sum(0) ** 2)
    assert gradient_diversity(QUADRATIC, POINT) == pytest.approx(diversity, rel=1e-4)
    noise = gradient_noise(QUADRATIC, POINT, rounds=400)
    assert abs(noise.mean - DIM * 0.25) < 4 * noise.error < 0.1 and noise.each.shape == (N,)


def test_diversity_of_orthogonal_gradients_and_at_the_optimum():
    """f_i = ||x||^2 / 2 - e_i' x at 0: the gradients -e_i are orthogonal."""
    problem = jdl.problems.Quadratic(jnp.broadcast_to(jnp.eye(3), (3, 3, 3)), jnp.eye(3))
    assert gradient_diversity(problem, jnp.zeros(3)) == pytest.approx(1)
    cancel = problem.replace(b=jnp.array([[1.0, 0, 0], [-1.0, 0, 0], [0, 0, 0]]))
    assert gradient_diversity(cancel, jnp.zeros(3)) == np.inf


def test_neighbourhood_heterogeneity_by_its_definition():
    """With noise drawn: the mean of ||sum_j W_ij g_j - mean_j g_j||^2; and its upper bound."""
    ring, rng = jdl.topology.ring(N), np.random.default_rng(0)
    sigma = np.array([0.1, 0.5, 1.0, 2.0])
    tau = neighbourhood_heterogeneity(QUADRATIC, ring, POINT, sigma)
    noise = rng.standard_normal((20_000, N, DIM)) * np.sqrt(sigma / DIM)[:, None]
    g = node_gradients(QUADRATIC, POINT) + noise
    drawn = np.sum((ring.weights.toarray() @ g - g.mean(1, keepdims=True)) ** 2, axis=2).mean()
    assert tau.total == pytest.approx(drawn, rel=0.02) == tau.bias + tau.noise
    most = sigma_2(ring) ** 2 * (heterogeneity(QUADRATIC, POINT) + sigma.mean())
    assert tau.total <= most
    same = neighbourhood_heterogeneity(QUADRATIC, jdl.topology.from_weights(np.eye(N), allow_disconnected=True), POINT)
    assert same.bias == pytest.approx(heterogeneity(QUADRATIC, POINT), rel=1e-5)


def test_constants_of_logistic_regression_by_hand(logistic):
    """Batches of two with replacement have half the variance of single examples."""
    x = np.array([0.3, -0.2, 0.5])
    each, hessians = by_hand(logistic, x)
    full, point = each.mean(axis=1), jnp.asarray(x, jnp.float32)
    assert node_gradients(logistic, point) == pytest.approx(full, abs=1e-5)
    variance = np.sum((each - full[:, None]) ** 2, axis=2).mean(axis=1) / 2
    noise = gradient_noise(logistic, point, rounds=400)
    assert abs(noise.mean - variance.mean()) < 4 * noise.error < 0.2 * variance.mean()
    values = np.linalg.eigvalsh(hessians)
    assert smoothness(logistic) >= smoothness(logistic, [point]) == pytest.approx(values.max(), rel=1e-4)
    assert strong_convexity(logistic) <= strong_convexity(logistic, [point]) == pytest.approx(values.min(), rel=1e-3)
    mean = np.linalg.eigvalsh(hessians.mean(0))
    assert smoothness(logistic, [point], of="mean") == pytest.approx(mean.max(), rel=1e-4)
    assert strong_convexity(logistic, [point], of="mean") == pytest.approx(mean.min(), rel=1e-3)
    assert heterogeneity(logistic) == pytest.approx(float(logistic.heterogeneity), rel=1e-3)


def test_lanczos_finds_the_ends_that_all_hessians_have(logistic, monkeypatch):
    import jdl.theory.curvature as curvature

    points = [jnp.zeros(DIM), jnp.array([0.3, -0.2, 0.5])]
    exact = [smoothness(logistic, points), strong_convexity(logistic, points), smoothness(logistic, points, of="mean")]
    monkeypatch.setattr(curvature, "DENSE", 0)
    found = [smoothness(logistic, points), strong_convexity(logistic, points), smoothness(logistic, points, of="mean")]
    assert found == pytest.approx(exact, rel=2e-3)


def test_an_oracle_answers_as_in_a_run(logistic):
    """Noise of standard deviation 2 in each coordinate of a minibatch gradient adds 4 d to its variance."""
    point = jnp.zeros(DIM)
    plain = gradient_noise(logistic, point, rounds=300)
    noisy = gradient_noise(logistic, point, rounds=300, oracle=[jdl.oracle.GradientNoise(2.0)])
    assert abs(noisy.mean - plain.mean - 4 * DIM) < 4 * (noisy.error + plain.error)


def test_a_problem_without_the_constant_is_refused_by_its_name():
    problem = jdl.problems.quadratic(2, dim=2)

    class Unknown:
        n, num_examples, offers = 2, jnp.ones(2, jnp.int32), frozenset()

    with pytest.raises(InputError, match=r"got a Unknown, which does not know the smoothness of its nodes"):
        smoothness(Unknown())
    with pytest.raises(InputError, match=r"got a Unknown, which does not know the strong_convexity of its nodes"):
        strong_convexity(Unknown())
    with pytest.raises(InputError, match=r"Quadratic, which does not know the smoothness of their mean"):
        smoothness(problem, of="mean")
    with pytest.raises(InputError, match=r"a Unknown, whose optimum is not known, need a model at which the noise"):
        gradient_noise(Unknown())
    with pytest.raises(InputError, match=r"Le Bars et al. 2023 assumes a doubly stochastic W"):
        neighbourhood_heterogeneity(
            problem, jdl.topology.from_weights([[1, 0], [0.5, 0.5]], "row", allow_disconnected=True)
        )
    complete, noise = jdl.topology.complete(2), GradientNoise(1.0, np.ones(2), 0.1)
    with pytest.raises(
        InputError, match=r"neither one number nor one for each node, .* gradient_noise\(problem\).each"
    ):
        neighbourhood_heterogeneity(problem, complete, sigma_squared=noise)
    with pytest.raises(InputError, match=r"arrays of shapes \(3, 2\), need one model of this problem: \(2,\)"):
        heterogeneity(problem, np.zeros((3, 2)))
    with pytest.raises(InputError, match=r"need one model of this problem"):
        smoothness(problem, at=[np.zeros((3, 2))])


# ----- rounds as they were


def test_the_gap_of_products():
    """Against dense products; rows or columns may be what sums to one; long products do not drown in rounding."""
    row = np.array([[0.5, 0.5, 0.0], [0.1, 0.6, 0.3], [0.0, 0.2, 0.8]])
    centre = np.eye(3) - 1 / 3
    product = np.linalg.matrix_power(row, 5)
    rows = realised_gap([jdl.topology.from_weights(row, "row").weights] * 5)
    columns = realised_gap([jdl.topology.from_weights(row.T, "column").weights] * 5)
    assert rows.product == pytest.approx(np.linalg.norm(centre @ product, 2))
    assert columns.product == pytest.approx(np.linalg.norm(product.T @ centre, 2)) == pytest.approx(rows.product)
    ring = jdl.topology.ring(6)
    assert realised_gap([ring.weights] * 300).gap == pytest.approx(1 - 2 / 3)
    assert realised_gap([jdl.topology.complete(5).weights] * 3).gap == 1
    with pytest.raises(InputError, match="neither all rows nor all columns"):
        realised_gap(
            [jdl.topology.from_weights(row, "row").weights, jdl.topology.from_weights(row.T, "column").weights]
        )


def test_rounds_with_faults_are_those_that_mixed():
    """With no gradient, the models of a run are the product of the realised W applied to the start."""
    problem = jdl.problems.Quadratic(jnp.zeros((6, 2, 2)), jnp.zeros((6, 2)))
    network = [jdl.exchange.Lossy(0.4)]
    simulation = jdl.simulation(problem, jdl.algorithms.DPSGD(lr=0.1), jdl.topology.ring(6), network)
    rounds = realised_rounds(simulation, rounds=4, start=1)
    counts = {W.nnz for W in rounds}
    assert len(counts) > 1 and max(counts) <= 18 and all(abs(W - W.T).max() < 1e-6 for W in rounds)
    state = jdl.sim.init(simulation, jax.random.normal(jax.random.key(1), (6, 2)))
    advance = jax.jit(jdl.sim.advance)
    state = advance(simulation, state, 1)[0]
    x = np.asarray(jdl.sim.models(simulation, state), np.float64)
    for W in rounds:
        x = W @ x
    after = jdl.sim.models(simulation, advance(simulation, state, 5)[0])
    assert np.asarray(after) == pytest.approx(x, abs=1e-5)
    assert 2 / 3 < realised_gap(rounds).round < 1
