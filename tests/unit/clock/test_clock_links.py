"""How long messages travel, against event queues and fillings in NumPy, and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jdl import checks, clock
from jdl.clock import FairShare, OneAfterAnother, Parallel
from jdl.types import Transfers

N = 7
FAIR = jax.jit(lambda links, transfers: links.arrivals(transfers))


def drawn(seed, copies=12):
    """Random copies among seven nodes and a server, some of which are not sent."""
    rng = np.random.default_rng(seed)
    pairs = rng.permutation([(i, j) for i in range(N + 1) for j in range(N + 1) if i != j])[:copies]
    used, bits = rng.random(copies) < 0.8, rng.uniform(1, 9, copies)
    ready = rng.uniform(0, 3, N + 1)[pairs[:, 0]]
    rates = rng.uniform(1, 5, (2, N))
    arrays = (jnp.asarray(pairs[:, 0], jnp.int32), jnp.asarray(pairs[:, 1], jnp.int32), jnp.asarray(used))
    numbers = (jnp.asarray(bits, jnp.float32), jnp.asarray(ready, jnp.float32))
    return Transfers(*arrays, *numbers, n=N), rates, (pairs, used, bits, ready)


def filled(pairs, used, ups, downs):
    """Max-min fair rates by raising all that are not blocked together, in small exact steps."""
    rate, free = np.zeros(len(pairs)), used.copy()
    while free.any():
        room = np.inf
        for node in range(N + 1):
            for lines, side in ((ups, 0), (downs, 1)):
                of = pairs[:, side] == node
                if (of & free).any():
                    room = min(room, (lines[node] - rate[of & used].sum()) / (of & free).sum())
        rate[free] += room
        for node in range(N + 1):
            for lines, side in ((ups, 0), (downs, 1)):
                of = (pairs[:, side] == node) & used
                if of.any() and rate[of].sum() >= lines[node] - 1e-9:
                    free &= ~of
    return rate


def queued(pairs, used, bits, ready, ups, downs):
    """The end of each copy, one event after the other: of all copies that are next, the one that can start first."""
    ends, up, down = np.zeros(len(pairs)), np.full(N + 1, -np.inf), np.full(N + 1, -np.inf)
    left = [i for i in np.lexsort((pairs[:, 1], pairs[:, 0])) if used[i]]
    while left:
        first = {sender: next(i for i in left if pairs[i, 0] == sender) for sender in {pairs[i, 0] for i in left}}
        start, sender = min((max(ready[i], up[s], down[pairs[i, 1]]), s) for s, i in first.items())
        copy = first[sender]
        left.remove(copy)
        to = pairs[copy, 1]
        ends[copy] = up[sender] = down[to] = start + bits[copy] / min(ups[sender], downs[to])
    return ends


@pytest.mark.parametrize("seed", range(6))
def test_fair_shares_are_those_of_filling_and_queues_those_of_events(seed):
    transfers, (up, down), (pairs, used, bits, ready) = drawn(seed)
    ups, downs = np.append(up, 6.0), np.append(down, 6.0)
    lines = {"up": jnp.asarray(up), "down": jnp.asarray(down), "latency": 0.5, "server": 6.0}
    fair = np.asarray(FAIR(FairShare(**lines), transfers))
    expected = ready + 0.5 + bits / np.where(used, filled(pairs, used, ups, downs), 1)
    np.testing.assert_allclose(fair[used], expected[used], rtol=1e-5)
    queue = np.asarray(FAIR(OneAfterAnother(**lines), transfers))
    expected = queued(pairs, used, bits, ready, ups, downs) + 0.5
    np.testing.assert_allclose(queue[used], expected[used], rtol=1e-5)


def test_latencies_are_a_number_or_a_matrix_from_sender_to_receiver():
    transfers, _, (pairs, _, bits, ready) = drawn(0)
    matrix = np.random.default_rng(1).random((N + 1, N + 1)).astype(np.float32)
    there = Parallel(rate=2.0, latency=matrix).arrivals(transfers)
    np.testing.assert_allclose(there, ready + bits / 2 + matrix[pairs[:, 1], pairs[:, 0]], rtol=1e-6)
    with pytest.raises(checks.InputError, match=r"latencies of shape \(3,\).*latency=0.01"):
        Parallel(latency=np.zeros(3)).arrivals(transfers)
    with pytest.raises(checks.InputError, match=r"bandwidths of shape \(3,\).*up=1e8"):
        FairShare(up=np.ones(3)).arrivals(transfers)


def test_servers_take_the_first_or_those_in_time():
    used, there = jnp.array([True, True, False, True]), jnp.array([3.0, 1.0, 0.0, 2.0])
    for count, taken, ends in ((1, [1], 1), (2, [1, 3], 2), (3, [0, 1, 3], 3), (4, [0, 1, 3], 3)):
        keep, until = clock.First(count).until(jnp.float32(0.5), there, used)
        assert np.flatnonzero(keep).tolist() == taken and until == ends
    keep, until = clock.First(2).until(jnp.float32(0.5), there, jnp.zeros(4, bool))
    assert not keep.any() and until == 0.5
    for seconds, taken, ends in ((0.0, [], 0.5), (1.0, [1], 1.5), (9.0, [0, 1, 3], 3)):
        keep, until = clock.Deadline(seconds).until(jnp.float32(0.5), there, used)
        assert np.flatnonzero(keep).tolist() == taken and until == ends


def test_steps_have_the_distribution_that_they_claim():
    n, keys = 4, jax.random.split(jax.random.key(0), 4000)
    draws = lambda step: np.asarray(jax.vmap(lambda key: step.seconds(0, key, n))(keys), float)
    exponential = draws(clock.Exponential(0.5))
    assert abs(exponential.mean() - 0.5) < 5 * 0.5 / np.sqrt(exponential.size)
    # The k-th of n ends after (H_n - H_{n-k}) times the mean.
    orders, H = np.sort(exponential, axis=1).mean(axis=0), np.cumsum(1 / np.arange(1, n + 1))
    expected = [0.5 * (H[-1] - (H[n - k - 1] if k < n else 0)) for k in range(1, n + 1)]
    np.testing.assert_allclose(orders, expected, rtol=0.08)
    logs = np.log(draws(clock.LogNormal(0.2, spread=0.7, jitter=0.3)))
    assert np.all(np.abs(logs.std(axis=0) - 0.3) < 5 * 0.3 / np.sqrt(2 * len(keys)))
    assert np.ptp(logs.mean(axis=0)) > 0.1  # nodes differ, by factors that stay
    wide = np.log(np.asarray(clock.LogNormal(0.2, spread=0.7, jitter=0.0).seconds(0, keys[0], 4000)) / 0.2)
    assert abs(wide.std() - 0.7) < 0.05 and abs(wide.mean()) < 0.06
    table = np.arange(6.0).reshape(3, 2)
    assert clock.Recorded(table).seconds(4, keys[0], 2).tolist() == [2, 3]
    with pytest.raises(checks.InputError, match=r"got -1.0 seconds at round 1, node 0, need times of at least 0"):
        clock.Recorded(np.where(table == 2, -1, table))
    assert sorted(clock.slow(20, 2.0, share=0.1, factor=5)) == [2.0] * 18 + [10.0] * 2
