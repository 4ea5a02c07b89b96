"""The theory of time: cycles by brute force, the clock in the long run, and designed graphs."""

import heapq
import itertools

import networkx as nx
import numpy as np
import pytest
from scipy import integrate, stats

import jdl
from jdl import algorithms, checks, theory, topology
from jdl.clock import Clock, Parallel
from jdl.schedule import Matcha


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


def ddp_by_events(n, backward, bits, rate, latency, forward):
    """A queue of events: buckets become full, and one all-reduce at a time is turned 2 (n - 1) times."""
    events = [(forward + sum(backward[: k + 1]), 0, k, 0) for k in range(len(bits))]
    heapq.heapify(events)
    waiting, busy, now = [], False, forward
    while events:
        now, kind, k, turn = heapq.heappop(events)
        if kind == 0 or turn == 2 * (n - 1):
            busy = busy and kind == 0
            waiting += [k] if kind == 0 else []
            if waiting and not busy:
                busy = True
                heapq.heappush(events, (now, 1, waiting.pop(0), 0))
        else:
            heapq.heappush(events, (now + bits[k] / n / rate + latency, 1, k, turn + 1))
    return now


@pytest.mark.parametrize("seed", range(4))
def test_a_data_parallel_step_by_events(seed):
    rng = np.random.default_rng(seed)
    n, k = rng.integers(1, 6), rng.integers(1, 9)
    backward, bits = rng.uniform(0, 2, k), rng.uniform(1, 50, k)
    rest = {"rate": rng.uniform(5, 40), "latency": rng.uniform(0, 0.2), "forward": rng.uniform(0, 2)}
    expected = ddp_by_events(n, backward, bits, **rest)
    np.testing.assert_allclose(theory.ddp_seconds(int(n), backward, bits, **rest), expected, rtol=1e-12)


def test_closed_forms_of_a_data_parallel_step():
    n, size, rate, latency = 8, 3e6, 2e6, 0.01
    reduce = 2 * (n - 1) / n * size / rate + 2 * (n - 1) * latency
    one = theory.ddp_seconds(n, [1.5], [size], rate, latency, forward=0.7)
    np.testing.assert_allclose(one, 0.7 + 1.5 + reduce)
    np.testing.assert_allclose(theory.ddp_seconds(n, [0.5] * 3, [size] * 3, rate=1e18, forward=0.7), 0.7 + 1.5)
    # Bound by the links, all but the first bucket is hidden; bound by the nodes, all but the last all-reduce is.
    np.testing.assert_allclose(theory.ddp_seconds(n, [0.1] * 5, [size] * 5, rate, latency), 0.1 + 5 * reduce)
    np.testing.assert_allclose(theory.ddp_seconds(n, [9.0] * 5, [size] * 5, rate, latency), 45 + reduce)
    with pytest.raises(checks.InputError, match="got 2 seconds of backward and 1 sizes of buckets"):
        theory.ddp_seconds(n, [1.0, 2.0], [size], rate)
    with pytest.raises(checks.InputError, match=r"got bits=\[-1\.0\], need finite numbers of at least 0"):
        theory.ddp_seconds(n, [1.0], [-1.0], rate)


def pipeline_by_paths(forward, backward, m, travel, eager):
    """The longest path through the works of all stages, each with its seconds."""
    s, graph = len(forward), nx.DiGraph()
    for k in range(s):
        first = min(s - k, m) if eager else m
        order = [(k, "f", j) for j in range(first)]
        for j in range(m):
            order += [(k, "b", j)] + ([(k, "f", j + first)] if j + first < m else [])
        for before, after in itertools.pairwise(order):
            graph.add_edge(before, after, wait=0.0)
        for j in range(m):
            graph.add_node((k, "f", j))
            if k:
                graph.add_edge((k - 1, "f", j), (k, "f", j), wait=travel[k - 1])
                graph.add_edge((k, "b", j), (k - 1, "b", j), wait=travel[k - 1])
    end = {}
    for node in nx.topological_sort(graph):
        start = max([end[one] + graph.edges[one, node]["wait"] for one in graph.predecessors(node)], default=0)
        end[node] = start + (forward if node[1] == "f" else backward)[node[0]]
    return max(end.values())


@pytest.mark.parametrize("order", ["gpipe", "one_forward_one_backward"])
def test_a_pipeline_takes_its_longest_path(order):
    rng = np.random.default_rng(3)
    for _ in range(8):
        s, m = int(rng.integers(1, 6)), int(rng.integers(1, 8))
        forward, backward, travel = rng.uniform(0, 2, s), rng.uniform(0, 3, s), rng.uniform(0, 1, s - 1)
        expected = pipeline_by_paths(forward, backward, m, travel, order != "gpipe")
        found = theory.pipeline_seconds(forward, backward, m, travel, order)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_closed_forms_of_pipelines():
    for s, m in [(1, 1), (1, 5), (4, 1), (4, 2), (4, 9), (6, 6)]:
        for order in ("gpipe", "one_forward_one_backward"):
            found = theory.pipeline_seconds([0.5] * s, 1.25, m, order=order)
            np.testing.assert_allclose(found, (m + s - 1) * 1.75)
        # Works in the same order at all stages, each with a time of its own: the slowest stage is never idle.
        slow = np.arange(1.0, s + 1)
        np.testing.assert_allclose(theory.pipeline_seconds(slow, 0.0, m), slow.sum() + (m - 1) * slow.max())
    np.testing.assert_allclose(theory.pipeline_seconds([1.0] * 3, 1.0, 1, travel=[2.0, 5.0]), 6 + 2 * 7)
    with pytest.raises(checks.InputError, match=r"got travel of shape \(3,\), need 2 numbers"):
        theory.pipeline_seconds([1.0] * 3, travel=[1.0] * 3)
    with pytest.raises(checks.InputError, match="gpipe"):
        theory.pipeline_seconds([1.0] * 3, order="pipe")


def test_live_experts_by_integration_and_in_closed_form():
    """1 / x is the integral of exp(-x t), under which experts that fail independently come apart into a product."""
    gates, fail = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.1, 0.6, 0.0, 0.9])
    found = theory.live_experts(gates, fail)
    for i in range(4):
        others = np.arange(4) != i
        alive = lambda t, i=i, others=others: (
            (1 - fail[i])
            * gates[i]
            * np.exp(-gates[i] * t)
            * np.prod(fail[others] + (1 - fail[others]) * np.exp(-gates[others] * t))
        )
        np.testing.assert_allclose(found.weights[i], integrate.quad(alive, 0, np.inf)[0], rtol=1e-6)
    assert found.none == 0
    k, p = 7, 0.3
    equal = theory.live_experts(np.full(k, 2.0), p)
    np.testing.assert_allclose(equal.weights, (1 - p**k) / k)
    np.testing.assert_allclose([equal.none, 1 - equal.weights.sum()], p**k)
    np.testing.assert_allclose(theory.live_experts(3 * gates, 0.0).weights, gates)
    assert theory.live_experts(gates, 1.0).weights.tolist() == [0] * 4
    with pytest.raises(checks.InputError, match=r"got gates=\[1\.0, 0\.0\], need finite numbers above 0"):
        theory.live_experts([1, 0])
    with pytest.raises(checks.InputError, match=r"got fail=1\.5, need probabilities"):
        theory.live_experts([1, 1], 1.5)


def loads_by_messages(shares, trains):
    """What each node sends and receives, in vectors, message by message."""
    n = len(shares)
    sent, received = np.zeros(n), np.zeros(n)
    for i, j in itertools.permutations(range(n), 2):
        if trains[i]:  # node i hands its part to j, which hands the mean back
            sent[i] += shares[j]
            received[j] += shares[j]
            sent[j] += shares[j]
            received[i] += shares[j]
    np.testing.assert_allclose(sent, received)
    return sent


def filled_up(rate, trains):
    """The least time by bisection: shares that each node has time for, if at least two train beside each."""
    m = trains.sum()
    low, high = max(trains / rate), 1e6
    for _ in range(200):
        middle = (low + high) / 2
        room = np.clip((middle * rate - trains) / (m - 2 * trains), 0, 1).sum()
        low, high = (low, middle) if room >= 1 else (middle, high)
    return high


@pytest.mark.parametrize("seed", range(5))
def test_shares_of_an_all_reduce_fill_up_the_time(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 9))
    rate = rng.uniform(0.2, 1, n) * 10 ** rng.uniform(0, 2, n)
    trains = np.arange(n) != 1 if seed % 2 else np.ones(n, bool)
    shares = theory.all_reduce_shares(1e6 * rate, trains)
    assert shares.min() >= 0
    np.testing.assert_allclose(shares.sum(), 1)
    found = theory.all_reduce_seconds(shares, 1e6, 1e6 * rate, trains, latency=0.5)
    np.testing.assert_allclose(found, max(loads_by_messages(shares, trains) / rate) + 1)
    np.testing.assert_allclose(found - 1, filled_up(rate, trains.astype(float)), rtol=1e-6)


def test_no_shares_of_a_grid_are_faster():
    grid = [(i / 40, j / 40, 1 - (i + j) / 40) for i in range(41) for j in range(41 - i)]
    for rate, trains in [
        ([1, 2, 5], [1, 1, 1]),
        ([1, 1, 9], [1, 0, 1]),
        ([3, 1, 1], [1, 0, 0]),
        ([4, 3, 2], [0, 1, 1]),
    ]:
        rate, trains = np.array(rate, float), np.array(trains, bool)
        best = min(max(loads_by_messages(shares, trains) / rate) for shares in grid)
        found = theory.all_reduce_seconds(theory.all_reduce_shares(rate, trains), 1.0, rate, trains)
        assert best - 0.1 < found <= best + 1e-6


def test_closed_forms_of_shares():
    for n in (1, 2, 5):
        shares = theory.all_reduce_shares(np.full(n, 3e7))
        np.testing.assert_allclose(shares, 1 / n, atol=1e-8)
        ring = theory.ring_all_reduce_seconds(n, 1e6, 3e7)
        np.testing.assert_allclose(theory.all_reduce_seconds(np.full(n, 1 / n), 1e6, [3e7] * n), ring)
    # Behind a slow node, the others have time left: their shares are next to proportional.
    np.testing.assert_allclose(theory.all_reduce_shares([0.01, 2, 1, 1]), [0, 0.5, 0.25, 0.25], atol=1e-6)
    # One that cannot be reached; one that only helps, and is fast.
    np.testing.assert_allclose(theory.all_reduce_shares([0, 1, 1, 1])[0], 0)
    np.testing.assert_allclose(theory.all_reduce_shares([1, 1, 1, 100.0], np.arange(4) < 3), [0, 0, 0, 1], atol=1e-6)
    # Bandwidths that differ by nine orders of magnitude; the slowest one trains, or only helps.
    for trains in (np.ones(4, bool), np.arange(4) > 0):
        shares, rate = theory.all_reduce_shares([1, 1e9, 1e9, 2e9], trains), np.array([1, 1e9, 1e9, 2e9])
        expected = 1e6 if trains[0] else filled_up(rate / 1e9, trains.astype(float)) / 1e3
        np.testing.assert_allclose(theory.all_reduce_seconds(shares, 1e6, rate, trains), expected, rtol=1e-6)
    with pytest.raises(checks.InputError, match="got nobody that trains"):
        theory.all_reduce_shares([1, 1], [False, False])
    with pytest.raises(checks.InputError, match="got bandwidth"):
        theory.all_reduce_shares([0, 0])
    with pytest.raises(checks.InputError, match=r"got shares=\[0\.5, 0\.4\]"):
        theory.all_reduce_seconds([0.5, 0.4], 1.0, [1, 1])


def rounds_of_matchings(seed=0):
    rng, n = np.random.default_rng(seed), 8
    schedule = Matcha.of(topology.random_regular(n, 3, seed=seed), budget=0.5)
    return schedule, rng.uniform(0.5, 1.5, n), rng.uniform(0, 2, (n, n))


def test_a_round_of_matchings_over_all_that_may_be_used():
    schedule, compute, latency = rounds_of_matchings()
    partners, p = np.asarray(schedule.partners), np.asarray(schedule.probabilities, float)
    expected = 0.0
    for used in itertools.product([False, True], repeat=len(p)):
        ends = [compute.max()]
        for matching in np.flatnonzero(used):
            ends += [compute[j] + latency[i, j] for i, j in enumerate(partners[:, matching]) if i != j]
        expected += np.prod(np.where(used, p, 1 - p)) * max(ends)
    np.testing.assert_allclose(theory.matcha_seconds(schedule, compute, latency), expected, rtol=1e-6)
    none = schedule.replace(probabilities=schedule.probabilities * 0)
    np.testing.assert_allclose(theory.matcha_seconds(none, compute, latency), compute.max())
    with pytest.raises(checks.InputError, match=r"got compute of shape \(3,\)"):
        theory.matcha_seconds(schedule, np.ones(3))


@pytest.mark.slow
def test_nodes_that_wait_for_their_neighbours_alone_are_no_slower():
    schedule, compute, latency = rounds_of_matchings()
    clock = Clock(compute.astype(np.float32), Parallel(rate=1e30, latency=latency.astype(np.float32)))
    s = jdl.simulation(jdl.problems.quadratic(8), algorithms.DPSGD(0.1), schedule, clock=clock)
    mean = jdl.timing(s, 3000, 1500, bits=1.0).simulated_seconds[-1] / 3000
    assert compute.max() <= mean < theory.matcha_seconds(schedule, compute, latency) * 1.01
