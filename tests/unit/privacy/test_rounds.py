"""Several noisy rounds: against the covariance of all that a node sees, from a simulation number by number."""

import itertools

import numpy as np
import pytest

from jdl import privacy, topology
from jdl.checks import InputError

N, T = 4, 3


def irregular(rng):
    """A symmetric doubly stochastic W on a path of four nodes with one chord more."""
    off = np.zeros((N, N))
    for a, b in ((0, 1), (1, 2), (2, 3), (0, 2)):
        off[a, b] = off[b, a] = rng.uniform(0.1, 0.3)
    return off + np.diag(1 - off.sum(axis=1))


def seen_by(j, weights, rounds, gossip, steps, alone, pairs, own):
    """All numbers that node j receives; steps and noises f[T, n], noises of pairs by (round, low, high)."""
    x, seen, step = [0.0] * N, [], 0
    for t in range(rounds):
        clean = [x[i] + steps[t][i] for i in range(N)]
        noise = list(alone[t])
        for (when, a, b), v in pairs.items():
            if when == t:
                noise[a], noise[b] = noise[a] + v, noise[b] - v
        y = [clean[i] + noise[i] for i in range(N)]
        for _ in range(gossip):
            W = weights[step]
            seen += [y[k] for k in range(N) if k != j and W[j][k] != 0]
            kept = y if own else clean
            y = [W[i][i] * kept[i] + sum(W[i][k] * y[k] for k in range(N) if k != i) for i in range(N)]
            step += 1
        x = y
    return np.array(seen)


def by_force(weights, rounds, gossip, noise, correlated, own, change):
    links = [(a, b) for a, b in itertools.combinations(range(N), 2) if weights[0][a, b] != 0]
    none = {(t, a, b): 0.0 for t in range(rounds) for a, b in links}
    zeros = np.zeros((rounds, N))
    mu = np.full((N, N), np.inf)
    for j in range(N):
        of = lambda steps=zeros, alone=zeros, pairs=none, j=j: seen_by(
            j, weights, rounds, gossip, steps, alone, pairs, own
        )
        columns = []
        for t, i in itertools.product(range(rounds), range(N)):
            unit = np.zeros((rounds, N))
            unit[t, i] = noise
            columns += [of(alone=unit)] * (i != j)
        columns += [of(pairs=none | {key: correlated}) for key in none if j not in key[1:]]
        covariance = sum(np.outer(column, column) for column in columns)
        for i in set(range(N)) - {j}:
            steps = np.zeros((rounds, N))
            steps[:, i] = change
            a = of(steps=steps)
            mu[i, j] = np.sqrt(a @ np.linalg.pinv(covariance, rcond=1e-11, hermitian=True) @ a)
    return mu


@pytest.mark.parametrize(
    ("gossip", "noise", "correlated", "own", "change"),
    [(1, 1.5, 0.0, True, 1), (2, 1.5, 0.0, True, 1), (1, 0.7, 2.0, True, 1), (1, 0.7, 2.0, False, [1, -1, 0.5])],
)
def test_it_is_the_covariance_of_all_that_is_seen(gossip, noise, correlated, own, change):
    rng = np.random.default_rng(0)
    fixed, changing = [irregular(rng)] * (T * gossip), [irregular(rng) for _ in range(T * gossip)]
    for weights in (fixed, changing):
        pattern = np.ones(T) * change
        how = {"gossip": gossip, "noise": noise, "correlated": correlated, "own": own, "change": pattern}
        found = privacy.rounds_mu(weights, T, sensitivity=3.0, **how)
        expected = by_force(weights, T, gossip, noise, correlated, own, 3 * pattern)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_one_round_is_what_is_known_of_one_round():
    rng = np.random.default_rng(1)
    W = irregular(rng)
    for steps in (1, 2, 3):
        known = privacy.pairwise_mu(W, steps, noise=2.0, sensitivity=3.0)
        np.testing.assert_allclose(
            privacy.rounds_mu(W, 1, gossip=steps, noise=2.0, sensitivity=3.0), known, rtol=1e-6, atol=1e-9
        )
    # Where all messages reach everybody, correlated noise is worth what the covariance of one round says.
    J = np.full((5, 5), 0.2)
    known = privacy.decor_mu(1 - np.eye(5), independent=0.5, correlated=2.0, sensitivity=1.5)
    found = privacy.rounds_mu(J, 1, noise=0.5, correlated=2.0, sensitivity=1.5)
    np.testing.assert_allclose(found, known)


def test_more_rounds_tell_more_and_at_most_what_each_message_tells():
    W = topology.ring(6).weights.toarray()
    found = [privacy.rounds_mu(W, rounds) for rounds in (1, 2, 3, 5)]
    off = ~np.eye(6, dtype=bool)
    for rounds, before, after in zip((2, 3, 5), found, found[1:], strict=False):
        assert np.all(after[off] >= before[off] - 1e-9) and np.all(after[off] <= np.sqrt(rounds) + 1e-9)
    # Who sees all messages can take off what it has seen before: T rounds are T messages with noise of their own.
    np.testing.assert_allclose(privacy.rounds_mu(np.full((3, 3), 1 / 3), 4)[0, 1], 2)
    # Two nodes three links apart: the change of round 1 arrives in round 3.
    assert found[1][0, 3] == 0 < found[2][0, 3]


def test_a_message_without_noise_tells_all_and_what_is_no_network_is_refused():
    J = np.full((3, 3), 1 / 3)
    assert np.isinf(privacy.rounds_mu(J, 1, noise=0.0)).all()
    # Of noise of pairs alone the sum of the others, and so a change in it, is left.
    assert np.isinf(privacy.rounds_mu(J, 1, noise=0.0, correlated=1.0)).all()
    with pytest.raises(InputError, match="one step"):
        privacy.rounds_mu(J, 2, gossip=2, own=False)
    with pytest.raises(InputError, match="one number a round"):
        privacy.rounds_mu(J, 2, change=[1.0])
    with pytest.raises(InputError, match="one way"):
        privacy.rounds_mu(np.array([[1, 0], [0.5, 0.5]]), 2, correlated=1.0)
    with pytest.raises(InputError, match="one for each step"):
        privacy.rounds_mu([J], 2)
