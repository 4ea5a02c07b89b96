"""A token on a random walk: against all walks one by one, sums of Gaussians written out, and series of powers."""

import itertools

import numpy as np
import pytest

from jdl import privacy, topology
from jdl.checks import InputError

LAZY = np.array([[0.5, 0.5, 0, 0], [0.5, 0, 0.3, 0.2], [0, 0.3, 0.6, 0.1], [0, 0.2, 0.1, 0.7]])


def walks(P, steps, start):
    """All walks with their probabilities."""
    for walk in itertools.product(range(len(P)), repeat=steps):
        p = start[walk[0]] * np.prod([P[a, b] for a, b in itertools.pairwise(walk)])
        if p > 0:
            yield walk, p


def gap(walk, s, v):
    """The steps from time s to the next visit of v; infinite if there is none."""
    return next((t - s for t in range(s + 1, len(walk)) if walk[t] == v), np.inf)


def test_the_sum_over_gaps_is_that_over_all_walks():
    steps, order, noise, start = 6, 3.0, 2.5, np.array([0.4, 0.1, 0.2, 0.3])
    one = order / (2 * noise**2)
    for P in (LAZY, np.full((3, 3), 1 / 3)):
        n = len(P)
        begin = start if n == 4 else None
        first, every = np.zeros((n, n)), np.zeros((n, n))
        for walk, p in walks(P, steps, np.full(n, 1 / n) if begin is None else begin):
            for s, u in enumerate(walk):
                for v in range(n):
                    first[u, v] += p / gap(walk, s, v)
                    every[u, v] += p * sum(1 / (t - s) for t in range(s + 1, steps) if walk[t] == v)
        off = ~np.eye(n, dtype=bool)
        for expected, flag in ((first, True), (every, False)):
            found = privacy.random_walk_renyi(P, steps, order=order, noise=noise, first=flag, start=begin)
            np.testing.assert_allclose(found[off], (1 + (order - 1) * one) * one * expected[off])
            assert np.all(np.isinf(np.diag(found)))


def test_one_visit_tells_no_more_than_the_bound_and_at_least_its_mean():
    """The exact divergence to a node that learns the gap: a mixture of Gaussians with the gap beside them."""
    steps, order, u = 7, 2.0, 0
    for noise in (1.0, 3.0):
        one = order / (2 * noise**2)
        start = np.eye(4)[u]
        for v in (1, 2, 3):
            found = [(p, one / gap(walk, 0, v)) for walk, p in walks(LAZY, steps, start)]
            exact = np.log(sum(p * np.exp((order - 1) * a) for p, a in found)) / (order - 1)
            mean = sum(p * a for p, a in found)
            assert mean <= exact <= (1 + (order - 1) * one) * mean


def test_a_known_walk_is_a_sum_of_gaussians():
    """The covariance of all that a node sees, written out, for all walks of five steps on three nodes."""
    n, steps = 3, 5
    for walk in itertools.product(range(n), repeat=steps):
        found = privacy.walk_mu(walk, n, noise=2.0, sensitivity=3.0)
        for v in range(n):
            # Rows: the token as v gets it, less what v added, as a combination of the noises of the steps.
            seen = np.array(
                [[float(s < t and walk[s] != v) for s in range(steps)] for t in range(steps) if walk[t] == v]
            )
            for u in set(range(n)) - {v}:
                moved = seen @ (np.array(walk) == u) * 3.0 if len(seen) else np.zeros(0)
                loss = moved @ np.linalg.pinv(4.0 * seen @ seen.T, rcond=1e-9) @ moved if len(seen) else 0
                np.testing.assert_allclose(found[u, v] ** 2, loss, atol=1e-9)


def test_two_visits_before_a_look_tell_more_than_their_sum():
    walk = [0, 0, 1]
    exact = privacy.walk_mu(walk, 2)[0, 1] ** 2
    assert exact == pytest.approx(2) and exact > sum(1 / gap(walk, s, 1) for s in (0, 1))


def test_the_logarithm_is_a_series_of_powers_and_the_limit_of_the_sum():
    ring = topology.ring(5).weights.toarray()
    n, series, power = 5, np.zeros((5, 5)), np.eye(5)
    for t in range(1, 200):
        power = power @ ring
        series += (power - 1 / n) / t
    off = ~np.eye(n, dtype=bool)
    found = privacy.random_walk_closed_form(ring, 50, order=3.0, noise=2.0, sensitivity=0.5)
    factor = 3.0 * 0.25 * 50 / (4 * n)
    np.testing.assert_allclose(found[off], factor * (np.log(50) / n + series[off]))
    # The sum of many steps, over T: as in the closed form, with the harmonic numbers in place of log T.
    T = 3000
    total = privacy.random_walk_renyi(ring, T, noise=1e3, first=False)[off] / (T * 1e-6)
    harmonic = np.sum((1 - np.arange(1, T) / T) / np.arange(1, T))
    np.testing.assert_allclose(total, (harmonic / n + series[off]) / n, rtol=2e-3)
    # On the complete graph all pairs are alike, and every bound lies above the one with first visits.
    J = np.full((n, n), 1 / n)
    closed = privacy.random_walk_closed_form(J, 40, order=2.0, noise=1.0)[off]
    np.testing.assert_allclose(closed, 2 * 40 * np.log(40) / n**2)
    every, first = (privacy.random_walk_renyi(J, 40, first=flag)[off] for flag in (False, True))
    np.testing.assert_allclose(first, 2 * sum((40 - t) / n / n * (1 - 1 / n) ** (t - 1) / t for t in range(1, 40)))
    assert np.all(first < every) and np.all(every < closed)


def test_what_is_no_walk_is_refused():
    with pytest.raises(InputError, match="rows sum to one"):
        privacy.random_walk_renyi(np.ones((2, 2)), 3)
    with pytest.raises(InputError, match="more noise"):
        privacy.random_walk_renyi(LAZY, 3, order=5.0)
    with pytest.raises(InputError, match="not connected"):
        privacy.random_walk_closed_form(np.eye(3), 3)
    with pytest.raises(InputError, match="not symmetric"):
        privacy.random_walk_closed_form([[0.5, 0.5], [0.1, 0.9]], 3)
    with pytest.raises(InputError, match="3 nodes"):
        privacy.walk_mu([0, 3], 3)
