"""Membership inference against a count of pairs, and at a budget against what it allows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import privacy
from jdl.checks import InputError
from jdl.oracle import PrivateGradients
from jdl.runs.audit import by_degree, membership

N = 3


def losses(params, x, y):
    """The cross-entropy of softmax regression, in NumPy."""
    bias, kernel = (np.asarray(leaf, float) for leaf in jax.tree.leaves(params))
    logits = np.asarray(x, float).reshape(len(x), -1) @ kernel + bias
    logits = logits - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), np.asarray(y)]


def test_the_area_is_the_share_of_pairs_in_the_right_order():
    problem = jdl.problems.digits(nodes=N, hidden=0)
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(problem.init, jax.random.key(0))
    models = jax.tree.map(lambda x: jnp.asarray(0.3 * rng.standard_normal((N, *x.shape)), x.dtype), shapes)
    found = membership(models, problem)
    x, y, real = jax.tree.map(np.asarray, jax.vmap(problem.full_batch)(jnp.arange(N)))
    outside = np.asarray(problem.test_x), np.asarray(problem.test_y)
    for j in range(N):
        model = jax.tree.map(lambda leaf, j=j: leaf[j], models)
        others = losses(model, *outside)
        for i in range(N):
            own = losses(model, x[i][real[i]], y[i][real[i]])
            pairs = (own[:, None] < others[None]) + 0.5 * (own[:, None] == others[None])
            np.testing.assert_allclose(found[i, j], pairs.mean(), atol=1e-4)
    with pytest.raises(InputError, match="no single examples"):
        membership(jnp.zeros((2, 2)), jdl.problems.quadratic(2, dim=2))


def test_areas_by_degree_are_means_over_other_models():
    auc, star = np.arange(16).reshape(4, 4) / 16, jdl.topology.star(4).weights
    others = np.where(np.eye(4), np.nan, auc)
    assert by_degree(auc, star) == {1: np.nanmean(others[1:]), 3: np.nanmean(others[0])}


def test_what_a_budget_allows_is_the_area_under_two_lines():
    x = np.linspace(0, 1, 2_000_001)
    for epsilon, delta in ((0.0, 0.0), (1.0, 0.0), (0.7, 0.1), (3.0, 1e-5)):
        curve = np.minimum(np.exp(epsilon) * x + delta, 1 - np.exp(-epsilon) * (1 - delta - x))
        area = np.trapezoid(np.minimum(curve, 1), x)
        np.testing.assert_allclose(privacy.auc_bound(epsilon, delta), area, atol=1e-6)


@pytest.mark.slow
def test_noise_of_a_budget_hides_who_was_there():
    """Ten examples a node of classes drawn at random, so that all a model can do is remember them."""
    pytest.importorskip("dp_accounting")
    rounds, delta = 60, 1e-3
    problem = jdl.problems.digits(nodes=8, hidden=0)
    problem = problem.replace(num_examples=jnp.minimum(problem.num_examples, 10), indices=problem.indices[:, :10])
    rng = np.random.default_rng(0)
    drawn = lambda labels: jnp.asarray(rng.integers(0, 10, labels.shape), labels.dtype)
    problem = problem.replace(train_y=drawn(problem.train_y), test_y=drawn(problem.test_y))
    how = {"rounds": rounds, "progress": False, "topology": jdl.topology.ring(8), "eval_every": rounds}
    method = jdl.algorithms.DPSGD(lr=2.0)
    open_, hidden = (
        jdl.run(problem, method, oracle=oracle, **how).membership()
        for oracle in ([], [PrivateGradients.for_budget(1.0, delta, rounds=rounds)])
    )
    own = np.eye(8, dtype=bool)
    bound = privacy.auc_bound(1.0, delta)
    assert open_[own].mean() > bound + 0.02
    # The mean over eight nodes of ten examples each; one standard deviation of an area of ten is below 0.1.
    assert abs(hidden[own].mean() - 0.5) < 4 * 0.1 / 8**0.5 and hidden[own].mean() < bound
    assert abs(hidden[~own].mean() - 0.5) < 4 * 0.1 / 8**0.5
