"""How many workers to wait for: estimates against other solvers, closed forms and all draws."""

import itertools

import numpy as np
import pytest
from scipy import optimize

from jdl import checks, theory


def rounds_of_a_server(rng, n, rounds, mean=1.0):
    """Sorted times of workers that begin together, of which the server sees as many as it waits for."""
    times = np.sort(rng.exponential(mean, (rounds, n)), axis=1)
    waited = rng.integers(1, n + 1, rounds)
    return np.where(np.arange(n) < waited[:, None], times, np.nan), waited


def test_waits_are_the_isotonic_regression_of_the_means():
    rng, n, wrong = np.random.default_rng(0), 7, 0
    for _ in range(20):
        arrivals, _ = rounds_of_a_server(rng, n, 5)
        arrivals[0] = np.sort(rng.exponential(size=n))  # each k is seen
        counts = np.sum(~np.isnan(arrivals), axis=0)
        means = np.nansum(arrivals, axis=0) / counts
        expected = optimize.isotonic_regression(means, weights=counts).x
        np.testing.assert_allclose(theory.expected_waits(arrivals), expected, rtol=1e-9)
        wrong += bool(np.any(np.diff(means) < 0))
    assert wrong > 2  # whose means alone would not do


def test_waits_of_exponential_times():
    rng, n = np.random.default_rng(0), 6
    arrivals, _ = rounds_of_a_server(rng, n, 60_000, mean=2.0)
    expected = [theory.kth_of_exponentials(k, n, 2.0) for k in range(1, n + 1)]
    np.testing.assert_allclose(theory.expected_waits(arrivals), expected, rtol=0.03)


@pytest.mark.parametrize("seed", range(1, 3))
def test_waits_after_other_waits_are_least_squares_in_their_order(seed):
    """Another solver, over all pairs (h, k) that were seen, with one constraint for each two that are comparable."""
    rng, n = np.random.default_rng(seed), 4
    arrivals, waited = rounds_of_a_server(rng, n, 14)
    before = np.append(n, waited[:-1])
    found = theory.expected_waits(arrivals, before)
    cells = sorted(
        {(int(h), k) for h, row in zip(before, arrivals, strict=True) for k in np.flatnonzero(~np.isnan(row))}
    )
    samples = [arrivals[before == h, k] for h, k in cells]
    samples = [one[~np.isnan(one)] for one in samples]
    square = lambda x: sum(np.sum((value - one) ** 2) for value, one in zip(x, samples, strict=True))
    orders = [
        (a, b)
        for a, b in itertools.permutations(range(len(cells)), 2)
        if cells[a][0] >= cells[b][0] and cells[a][1] <= cells[b][1]
    ]
    constraints = [{"type": "ineq", "fun": lambda x, a=a, b=b: x[b] - x[a]} for a, b in orders]
    start = np.sort([one.mean() for one in samples])
    solved = optimize.minimize(square, start, constraints=constraints, method="SLSQP", options={"ftol": 1e-14})
    values = np.array([found[h - 1, k] for h, k in cells])
    assert all(values[a] <= values[b] + 1e-9 for a, b in orders)
    np.testing.assert_allclose(square(values), solved.fun, rtol=1e-6)
    np.testing.assert_allclose(values, solved.x, atol=1e-3)


def test_what_was_not_seen_lies_in_between():
    nan = np.nan
    found = theory.expected_waits([[1.0, nan, 4.0, nan]])
    np.testing.assert_allclose(found, [1, 2.5, 4, 4])
    # Pairs: waited for all of 2 before, the first arrived at 1; waited for 1 before, both at 3 and 5.
    found = theory.expected_waits([[1.0, nan], [3.0, 5.0]], before=[2, 1])
    np.testing.assert_allclose(found, [[3, 5], [1, 3]])  # of (2, 2) it is known that it lies between 1 and 5
    found = theory.expected_waits([[nan, 2.0]], before=[2])
    np.testing.assert_allclose(found, [[nan, 2], [2, 2]])  # (1, 1) is neither above nor below (2, 2)
    with pytest.raises(checks.InputError, match="got arrivals that are negative, unsorted or all unknown"):
        theory.expected_waits([[2.0, 1.0]])
    with pytest.raises(checks.InputError, match=r"need one whole number of 1 to 2 for each of 1 rounds"):
        theory.expected_waits([[1.0, 2.0]], before=[0])


def test_gains_over_all_draws_are_those_of_a_quadratic():
    """F = L / 2 ||x||^2, with noise of three values: all draws of m gradients, and of k, are equally likely."""
    L, lr, x, m, n = 2.0, 0.3, np.array([1.0, -2.0]), 3, 4
    noise = np.array([[1.0, 0.5], [-0.4, 0.7], [-0.6, -1.2]])
    draws = lambda count: L * x + noise[list(itertools.product(range(3), repeat=count))]
    estimated = np.mean([theory.expected_gains(one, n, lr, L) for one in draws(m)], axis=0)
    loss = lambda x: L / 2 * np.sum(x**2, axis=-1)
    exact = [loss(x) - np.mean(loss(x - lr * draws(k).mean(axis=1))) for k in range(1, n + 1)]
    np.testing.assert_allclose(estimated, exact, rtol=1e-10)
    with pytest.raises(checks.InputError, match=r"got gradients of shape \(1, 2\)"):
        theory.expected_gains(noise[:1], n, lr, L)


def test_backup_workers_are_the_best_of_all_numbers():
    n = 8
    seconds = np.array([theory.kth_of_exponentials(k, n) for k in range(1, n + 1)])
    k = np.arange(1, n + 1)
    for noise in (0.0, 0.05, 0.4, 0.9, 3.0):
        gains = 1 - noise / k
        best = max(range(1, n + 1), key=lambda one: gains[one - 1] / seconds[one - 1])
        assert theory.backup_workers(gains, seconds) == n - best
    assert theory.backup_workers(np.ones(n), seconds) == n - 1  # without noise, the first gradient is as good as all
    assert theory.backup_workers(np.ones(n), np.ones(n)) == 0  # all arrive together
    assert theory.backup_workers(-1 / k, seconds) == 0
    assert theory.backup_workers([1.0, 2.0], [np.nan, 5.0]) == 0
    with pytest.raises(checks.InputError, match=r"got gains of shape \(2,\) and seconds of shape \(3,\)"):
        theory.backup_workers([1, 2], [1, 2, 3])
