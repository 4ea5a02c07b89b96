"""Who learns what of whom: against regressions in NumPy, closed forms, and the covariances of noise written out."""

import itertools

import numpy as np
import pytest

from jdl import privacy, topology
from jdl.checks import InputError


def ring(n):
    return topology.ring(n).weights.toarray()


def irregular(n, rng):
    """A symmetric doubly stochastic W on a connected random graph."""
    near = np.triu(rng.random((n, n)) < 0.4, 1) | (np.arange(n)[None] == np.arange(n)[:, None] + 1)
    off = np.where(near, rng.uniform(0.05, 0.9 / n, (n, n)), 0)
    off = off + off.T
    return off + np.diag(1 - off.sum(axis=1))


def learned_by_regression(matrices, j, i):
    """1 - the residual of e_i on everything that node j sees: the messages of neighbours, its own value and noise."""
    n = len(matrices[0])
    vectors, x = [np.eye(n)[j]], np.eye(n)  # x[w]: what node w holds, as a combination of the first values
    for W in matrices:
        vectors += [x[w] for w in range(n) if w != j and W[j, w] != 0]
        x = W @ x
    A = np.array(vectors)
    left = np.eye(n)[i] - A.T @ np.linalg.lstsq(A.T, np.eye(n)[i], rcond=1e-10)[0]
    return 1 - left @ left


def test_the_exact_matrix_is_a_regression_on_what_a_node_sees():
    rng = np.random.default_rng(0)
    fixed, changing = irregular(7, rng), [irregular(7, rng), ring(7), np.eye(7)]
    for given, matrices in ((fixed, [fixed] * 3), (changing, changing)):
        found = privacy.pairwise_mu(given, 3, noise=2.0, sensitivity=3.0)
        for i, j in itertools.permutations(range(7), 2):
            np.testing.assert_allclose((found[i, j] * 2 / 3) ** 2, learned_by_regression(matrices, j, i), atol=1e-7)
        assert np.all(np.isinf(np.diag(found)))


def test_closed_forms_of_muffliato():
    n, T, alpha, sigma = 6, 5, 3.0, 1.7
    J = np.full((n, n), 1 / n)
    told = privacy.muffliato_renyi(J, T, order=alpha, noise=sigma)
    expected = alpha / (2 * sigma**2) * (1 + (T - 1) * (n - 1) / n)
    np.testing.assert_allclose(told[~np.eye(n, dtype=bool)], expected)
    once = privacy.muffliato_renyi(ring(n), 1, order=alpha, noise=sigma)
    np.testing.assert_allclose(once[0], [np.inf, alpha / (2 * sigma**2), 0, 0, 0, alpha / (2 * sigma**2)])
    # For one step, and where all rows are seen at once, messages are independent, and the sum is exact.
    exact = privacy.pairwise_mu(ring(n), 1, noise=sigma)
    np.testing.assert_allclose(alpha * exact**2 / 2, once, atol=1e-12)
    np.testing.assert_allclose(privacy.pairwise_mu(J, T)[0, 1:], 1)


def test_the_sum_of_muffliato_is_no_bound():
    """Two steps on a ring: my neighbour's second message, less what I know of it, is the value two steps away."""
    exact, told = privacy.pairwise_mu(ring(8), 2) ** 2, privacy.muffliato_renyi(ring(8), 2, order=2)
    np.testing.assert_allclose([exact[0, 2], told[0, 2]], [1, 1 / 3])


def test_far_nodes_learn_later_and_never_more_than_a_message_tells():
    far = [privacy.pairwise_mu(ring(9), steps)[0] for steps in (1, 2, 3, 4)]
    for steps, mu in enumerate(far, start=1):
        distance = np.minimum(np.arange(9), 9 - np.arange(9))
        assert np.all((mu[1:] > 1e-6) == (distance[1:] <= steps)) and np.all(mu[1:] <= 1 + 1e-9)


def test_correlated_noise_is_worth_what_its_covariance_says():
    """Noise of nodes and of pairs, column by column; who knows some of it has these columns taken away."""
    near = topology.ring(6).weights.toarray() != 0
    np.fill_diagonal(near, False)
    pairs = [(a, b) for a, b in itertools.combinations(range(6), 2) if near[a, b]]
    parts = np.hstack([0.5 * np.eye(6), np.zeros((6, len(pairs)))])
    for column, (a, b) in enumerate(pairs, start=6):
        parts[a, column], parts[b, column] = 2.0, -2.0
    found = privacy.decor_mu(near, independent=0.5, correlated=2.0, sensitivity=1.5)
    for j in range(6):
        known = [j, *(column for column, pair in enumerate(pairs, start=6) if j in pair)]
        others = np.delete(np.arange(6), j)
        left = np.delete(parts, known, axis=1)[others]
        loss = 1.5**2 * np.diag(np.linalg.inv(left @ left.T))
        np.testing.assert_allclose(found[others, j] ** 2, loss)
    np.testing.assert_allclose(privacy.decor_mu(near, independent=0.5, correlated=0.0)[0, 1:], 2)

    # The same in the matrix of gossip, to a node that knows its own noise but not of which parts it is made.
    covariance = parts @ parts.T
    everybody = np.full((6, 6), 1 / 6)
    mu = privacy.pairwise_mu(everybody, 1, covariance=covariance)
    given = covariance[1:, 1:] - np.outer(covariance[1:, 0], covariance[0, 1:]) / covariance[0, 0]
    np.testing.assert_allclose(mu[1:, 0] ** 2, np.diag(np.linalg.inv(given)))


def test_noise_that_cancels_hides_no_sum():
    """Pairs alone have noise: to who hears all others and knows its own, their sum has none."""
    mu = privacy.pairwise_mu(np.full((3, 3), 1 / 3), covariance=3 * np.eye(3) - 1)
    assert np.all(np.isinf(mu))


def test_what_is_no_network_is_refused():
    for wrong in (np.ones((2, 3)), [np.eye(2), np.eye(3)]):
        with pytest.raises(InputError, match="need"):
            privacy.pairwise_mu(wrong)
    with pytest.raises(InputError, match="one for each step"):
        privacy.pairwise_mu([np.eye(2)], steps=2)
    with pytest.raises(InputError, match="symmetric"):
        privacy.decor_mu(np.triu(np.ones((3, 3))))
    for function in (privacy.pairwise_mu, privacy.muffliato_renyi):
        with pytest.raises(InputError, match="above 0"):
            function(np.eye(2), noise=0.0)
