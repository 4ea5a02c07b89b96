"""The theory of time: cycles by brute force, the clock in the long run, and designed graphs."""

import itertools

import numpy as np
import pytest
from scipy import integrate, stats

import jdl
from jdl import algorithms, checks, theory, topology
from jdl.clock import Clock, Parallel


def cycles_of(n):
    """All simple cycles of n nodes, loops included, each once."""
    for size in range(1, n + 1):
        for nodes in itertools.permutations(range(n), size):
            if nodes[0] == min(nodes):
                yield nodes


@pytest.mark.parametrize("seed", range(5))
def test_karp_finds_the_greatest_mean_of_all_cycles(seed):
    rng, n = np.random.default_rng(seed), 6
    matrix = np.where(rng.random((n, n)) < 0.35, rng.normal(size=(n, n)), -np.inf)  # from row to column
    means = [
        np.mean([matrix[one, other] for one, other in zip(nodes, [*nodes[1:], nodes[0]], strict=True)])
        for nodes in cycles_of(n)
    ]
    senders, receivers = np.nonzero(np.isfinite(matrix))
    found = theory.maximum_cycle_mean(senders, receivers, matrix[senders, receivers], n)
    np.testing.assert_allclose(found, max(means), rtol=1e-12)


def test_a_graph_without_cycles_has_no_mean():
    assert theory.maximum_cycle_mean(np.array([0, 1]), np.array([1, 2]), np.ones(2), 3) == -np.inf


@pytest.mark.parametrize("directed", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_clock_needs_the_cycle_time_in_the_long_run(directed):
    n, rng = 12, np.random.default_rng(4)
    step, latency = rng.uniform(0.5, 1.5, n), rng.uniform(0, 2, (n, n))
    graph = topology.exponential(n) if directed else topology.random_regular(n, 3, seed=1)
    clock = Clock(step.astype(np.float32), Parallel(rate=1e30, latency=latency.astype(np.float32)))
    s = jdl.simulation(jdl.problems.quadratic(n), algorithms.DPSGD(0.1), graph, clock=clock)
    seconds = jdl.timing(s, 3000, 1500, bits=1.0).simulated_seconds
    expected = theory.cycle_time(graph, step, latency)
    # From the regime in which a period of rounds always takes the same time: at most n rounds are counted too much.
    assert abs(seconds[2] - seconds[1] - 1500 * expected) < n * expected * 0.5
    assert expected > step.max() + 0.2


def test_closed_forms_of_cycle_times():
    slow = np.array([1, 1, 7, 1.0])
    assert theory.cycle_time(topology.ring(4), slow, 0.5) == 7  # a loop: no message comes later
    assert theory.cycle_time(topology.ring(4), slow, 10.0) == 14  # there and back between the slow one and another
    assert theory.cycle_time(topology.complete(4), 1.0, 0.0) == 1
    with pytest.raises(checks.InputError, match=r"compute of shape \(3,\) .* need one number, or \[4\] and \[4, 4\]"):
        theory.cycle_time(topology.ring(4), np.ones(3))
    with pytest.raises(checks.InputError, match="times that are negative or not finite"):
        theory.cycle_time(topology.ring(4), -1.0)


def test_an_all_reduce_turn_by_turn():
    n, bits, rate, latency = 5, 1000.0, 50.0, 0.3
    parts = np.random.default_rng(0).normal(size=(n, n))  # of node i, part p
    expected, seconds = parts.sum(axis=0), 0.0
    for turn in range(2 * (n - 1)):
        sent = {i: ((i - turn) % n, parts[i, (i - turn) % n]) for i in range(n)}
        for i, (part, value) in sent.items():
            to = (i + 1) % n
            parts[to, part] = parts[to, part] + value if turn < n - 1 else value
        seconds += bits / n / rate + latency
    np.testing.assert_allclose(parts, np.tile(expected, (n, 1)))
    np.testing.assert_allclose(theory.ring_all_reduce_seconds(n, bits, rate, latency), seconds)
    assert theory.ring_all_reduce_seconds(1, bits, rate) == 0
    with pytest.raises(checks.InputError, match="got rate=0"):
        theory.ring_all_reduce_seconds(4, bits, 0)


@pytest.mark.parametrize(("k", "n"), [(1, 5), (3, 5), (5, 5), (7, 10)])
def test_the_kth_of_exponentials_by_integration(k, n):
    """P(the k-th is not done at t) = P(fewer than k of n are done)."""
    late = lambda t: stats.binom.cdf(k - 1, n, 1 - np.exp(-t / 0.7))
    expected, _ = integrate.quad(late, 0, np.inf)
    np.testing.assert_allclose(theory.kth_of_exponentials(k, n, 0.7), expected, rtol=1e-6)
    with pytest.raises(checks.InputError, match=f"got k={n + 1} of n={n} workers"):
        theory.kth_of_exponentials(n + 1, n)
