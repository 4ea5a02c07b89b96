"""Gradients from losses alone, against the gradients of quadratics."""

import jax
import jax.numpy as jnp
import numpy as np
import oracle_cases as cases

import jdl
from jdl.oracle import ZerothOrder, as_oracle
from jdl.types import FULL


def test_the_estimate_lies_along_its_direction_and_its_mean_is_the_gradient():
    problem, x = jdl.problems.quadratic(nodes=4, dim=3), jnp.array([0.5, -1.0, 2.0])
    data, exact = cases.about(problem, id=2), problem.A[2] @ x - problem.b[2]
    grad = jax.jit(lambda oracle, which: oracle.grad(data, x, which)[0])
    one = grad(as_oracle([ZerothOrder(radius=0.1)]), 0)
    # One direction u: g = (u . gradient) u, so that u = g / sqrt(g . gradient), of a Gaussian's length.
    u = one / np.sqrt(one @ exact)
    np.testing.assert_allclose((u @ exact) * u, one, rtol=1e-4)
    many = grad(as_oracle([ZerothOrder(radius=0.1, directions=4000)]), FULL)
    # Variances of the entries: g_i^2 + |g|^2.
    tolerance = 4 * np.sqrt((exact**2 + exact @ exact) / 4000)
    assert np.all(np.abs(many - exact) < tolerance) and np.abs(one - exact).max() > 10 * tolerance.max()


def test_gradient_tracking_reaches_the_optimum_without_gradients():
    # Where all nodes have one optimum, the noise of the estimates vanishes there.
    problem, ring = jdl.problems.quadratic(nodes=6, dim=3, heterogeneity=0.0), jdl.topology.ring(6)
    method, oracle = jdl.algorithms.GradientTracking(lr=0.03), [ZerothOrder(radius=0.1, directions=4)]
    result = jdl.run(problem, method, ring, oracle=oracle, rounds=600, progress=False)
    assert result.history.suboptimality[-1] < 1e-4 * result.history.suboptimality[0]
