"""Rounds of so many microbatches: planned against a queue of events, executed against gradient descent in NumPy."""

import heapq

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl.checks import InputError
from jdl.schedule import TargetBatch


def by_events(seconds, target, rounds, ready, end, averaging):
    """One event after the other: a peer ends a microbatch, or leaves. Times are sums of eighths, and so exact."""
    counts, ends, now = [], [], 0.0
    for _ in range(rounds):
        while not any(ready[i] <= now < end[i] for i in range(len(seconds))):
            now = min(r for r, e in zip(ready, end, strict=True) if now < r < e)
        events, done = [], {}
        for i, one in enumerate(seconds):
            if ready[i] <= now < end[i]:
                done[i] = 0
                heapq.heappush(events, (now + one, 0, i))
                heapq.heappush(events, (end[i], 1, i))
        reached = None
        while reached is None or (events and events[0][:2] == (reached, 0)):
            second, leaves, i = heapq.heappop(events)
            if leaves:
                del done[i]
                if not done:
                    break
            elif i in done:
                done[i] += 1
                heapq.heappush(events, (second + seconds[i], 0, i))
                reached = second if sum(done.values()) >= target else None
        if reached is None:
            return None  # all left in the middle of a round
        now = reached + averaging
        counts.append([done.get(i, 0) for i in range(len(seconds))])
        ends.append(now)
    return np.array(counts), np.array(ends)


@pytest.mark.parametrize("seed", range(6))
def test_rounds_of_peers_that_join_and_leave_event_by_event(seed):
    rng, n, rounds = np.random.default_rng(seed), 5, 12
    seconds = rng.integers(1, 20, n) / 8
    joins = {1: float(rng.integers(1, 40)) / 8, 4: float(rng.integers(40, 80)) / 8}
    leaves = {1: 17.0, 2: float(rng.integers(8, 90)) / 8}
    target, download, averaging = int(rng.integers(1, 12)), 1.25, float(rng.integers(0, 3)) / 4
    plan = TargetBatch.of(seconds, target, rounds, joins, leaves, download, averaging)
    ready, end = np.zeros(n), np.full(n, np.inf)
    for node, second in joins.items():
        ready[node] = second + download
    for node, second in leaves.items():
        end[node] = second
    counts, ends = by_events(seconds, target, rounds, ready, end, averaging)
    np.testing.assert_array_equal(plan.counts, counts)
    np.testing.assert_array_equal(plan.seconds_at, np.append(0, ends))
    assert np.all(counts.sum(axis=1) >= target)


def test_closed_forms_of_rounds():
    equal = TargetBatch.of([0.5] * 4, target=10, rounds=3, averaging=0.25)
    assert equal.counts.tolist() == [[3] * 4] * 3  # all end the third one together
    assert equal.seconds_at.tolist() == [0, 1.75, 3.5, 5.25]
    # The batch is the same when peers come, and the round shorter: the rate of the work is the sum of the rates.
    grown = TargetBatch.of([1.0] * 8, target=800, rounds=20, joins={i: 250.0 for i in range(4, 8)})
    lasts = np.diff(grown.seconds_at)
    assert lasts[:2].tolist() == [200, 200] and lasts[2:].tolist() == [100] * 18
    assert np.all(np.asarray(grown.counts).sum(axis=1) == 800)
    # All leave in the middle of a round; the one that comes begins anew.
    late = TargetBatch.of([1.0, 1.0], target=4, rounds=1, joins={1: 9.0}, leaves={0: 3.5}, download=2.0)
    assert late.counts.tolist() == [[0, 4]] and late.seconds_at.tolist() == [0, 15]
    plan, _ = jax.jit(lambda t: late((), t, None))(1)  # after the last round
    assert not np.any(plan.active) and not np.any(plan.links.used)


@pytest.mark.parametrize("local", [False, True])
def test_a_run_is_gradient_descent_with_a_large_batch_or_with_local_steps(local):
    n, rounds, lr, speeds = 4, 6, 0.2, [1.0, 0.5, 0.25, 2.0]
    plan = TargetBatch.of(speeds, target=9, rounds=rounds, joins={2: 3.0}, leaves={0: 8.0}, local=local)
    counts = np.asarray(plan.counts)
    assert len({tuple(row) for row in counts.tolist()}) >= 3 and np.any(counts[:, 2] == 0) and np.any(counts[:, 0] == 0)
    problem, x = jdl.problems.quadratic(n, dim=3), np.array([1.0, -2.0, 0.5])
    method = jdl.algorithms.FedAvg(lr=lr, weighted=False, local_steps=plan.most if local else 1)
    simulation = jdl.simulation(problem, method, plan)
    state, step = jdl.sim.init(simulation, jnp.asarray(x, jnp.result_type(float))), jax.jit(jdl.sim.step)
    gradients = jax.jit(jax.vmap(jax.grad(lambda x, i: problem.loss(x, problem.full_batch(i))[0])))
    for row in counts:
        state = step(simulation, state)[0]
        of_nodes = np.tile(x, (n, 1))
        for k in range(row.max() if local else 1):
            g = np.asarray(gradients(jnp.asarray(of_nodes, jnp.result_type(float)), jnp.arange(n)), float)
            of_nodes = of_nodes - lr * np.where((k < row)[:, None], g, 0)
        weights = row > 0 if local else row
        x = weights @ of_nodes / weights.sum()
    np.testing.assert_allclose(state.server, x, rtol=1e-5)


def test_wrong_plans_are_refused():
    with pytest.raises(InputError, match="got peers of whom nobody is left at second 4, in round 1 of 3"):
        TargetBatch.of([1.0], target=3, rounds=3, leaves={0: 4.0})
    with pytest.raises(InputError, match=r"got joins of peer 2, need one of n=2 peers"):
        TargetBatch.of([1.0, 1.0], target=3, rounds=1, joins={2: 1.0})
    with pytest.raises(InputError, match="need a time above 0 for each peer"):
        TargetBatch.of([1.0, 0.0], target=3, rounds=1)
    with pytest.raises(InputError, match=r"got rounds=3 with TargetBatch, whose plan has 2"):
        jdl.run(jdl.problems.quadratic(2), jdl.algorithms.FedAvg(), TargetBatch.of([1.0, 1.0], 3, 2), rounds=3)
