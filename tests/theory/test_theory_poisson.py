"""Methods at Poisson times: waves against the same events one at a time in NumPy, and what theory says of them."""

import functools

import beds
import numpy as np
import numpy_poisson as one_by_one
import pytest
from beds import N
from scipy.linalg import expm
from table import LR, X

import jdl
from jdl import algorithms, events, topology
from jdl.schedule import Waves

pytestmark = pytest.mark.usefixtures("x64")
GRAPH = topology.random_regular(N, 3, seed=1)
HORIZON, MEETINGS = 8.0, 1.5
PROBLEM = functools.cache(lambda: beds.quadratic(noise=0.3))


def gradient(problem, rounds):
    """The gradient (x, t, i) of node i on its minibatch of round t."""
    A, b = np.asarray(problem.A), np.asarray(problem.b)
    noise = float(problem.noise) * beds.draws(*b.shape, rounds=rounds + 1)[:, 0]
    return lambda x, t, i: A[i] @ x - b[i] + noise[t, i]


def full(problem):
    A, b = np.asarray(problem.A), np.asarray(problem.b)
    return lambda x, t, i: A[i] @ x - b[i]


def rows(waves, planned):
    """The events (second, i, j, wave); those of the same two nodes are executed in their order."""
    first, second, acts, meets = (np.asarray(x) for x in (waves.first, waves.second, waves.acts, waves.meets))
    alone, places = first.shape[1] - second.shape[1], {}
    for t, place in np.argwhere(acts):
        pair = place - alone
        i = int(first[t, place])
        j = int(second[t, pair]) if pair >= 0 and meets[t, pair] else i
        places.setdefault((i, j), []).append(int(t))
    return [(s, int(i), int(j), places[int(i), int(j)].pop(0)) for s, i, j in zip(*planned, strict=True)]


@functools.cache
def plan(seed=0, horizon=HORIZON):
    """Waves, and the events that they should be, from the parts of a plan."""
    waves = Waves.poisson(GRAPH, 1.0, MEETINGS, horizon, width=2, window_events=24, seed=seed)
    rates = np.full(GRAPH.edge_count, N * MEETINGS / 2 / GRAPH.edge_count)
    acts, met = events.poisson(1.0, horizon, N, seed), events.meetings(rates, GRAPH.edges, horizon, (seed, 1))
    listed = rows(waves, events.alone_and_meeting(acts, met))
    when = [t for *_, t in listed]
    assert when != sorted(when)  # in another order
    return waves, listed


def executed(method, waves, problem, start=X, **options):
    return beds.record(jdl.simulation(problem, method, waves), start, rounds=waves.waves, **options)


CHI = topology.meeting_constants(GRAPH, MEETINGS)


def test_a2cid2_in_waves_is_a2cid2_one_event_at_a_time():
    """And both means move by the applied gradients over n: that of both at once, and each at a common second."""
    waves, listed = plan()
    g, (chi1, chi2) = gradient(PROBLEM(), waves.waves), CHI
    eta, strength = 1 / (2 * np.sqrt(chi1 * chi2)), np.sqrt(chi1 / chi2) / 2
    x, other, applied, last = one_by_one.a2cid2(listed, g, X, LR, eta, 0.5, strength)
    run = executed(algorithms.A2CiD2(lr=LR, **CHI._asdict()), waves, PROBLEM())
    beds.same(run.models[[0, -1]], np.stack([X, x]), 1e-10)
    beds.close(run.nodes.other[-1], other, 1e-10)
    both, expected = np.stack([run.models[-1], run.nodes.other[-1]]), X.mean(0) - LR / N * applied
    beds.close(both.mean((0, 1)), expected, 1e-11)
    drift = eta * np.array([[-1.0, 1.0], [1.0, -1.0]])
    now = np.stack([expm(drift * (HORIZON - last[i])) @ both[:, i] for i in range(N)], axis=1)
    beds.close(now.mean(1), np.broadcast_to(expected, (2, len(expected))), 1e-11)
    assert run.messages[-1].sum() == 2 * sum(i != j for _, i, j, _ in listed)


def test_a2cid2_without_drift_is_randomised_gossip_sgd():
    """eta = 0 and alpha~ = alpha: infinite constants of one ratio. And so is `DPSGD` on the same events."""
    waves, listed = plan()
    expected = one_by_one.gossip_sgd(listed, gradient(PROBLEM(), waves.waves), X, LR)
    for method in (algorithms.A2CiD2(lr=LR, chi1=1e150, chi2=1e150), algorithms.DPSGD(lr=LR)):
        beds.same(executed(method, waves, PROBLEM()).models[[0, -1]], np.stack([X, expected]), 1e-10)


def test_dadao_in_waves_is_dadao_one_event_at_a_time():
    """And the sum of all z, each of them drifted to the same second, is zero."""
    waves, listed = plan()
    problem, mu, L, chi1 = PROBLEM(), 0.25, 1.0, 0.4
    v, last = one_by_one.dadao(listed, full(problem), X, mu, L, chi1)
    run = executed(algorithms.DADAO(lr=1 / L, mu=mu, chi1=chi1), waves, problem)
    for name, expected in zip(("x", "xt", "y", "yt", "z", "zt"), v, strict=True):
        beds.close(getattr(run.nodes, name)[-1], expected, 1e-10)
    beds.same(run.models[[0, -1]], np.stack([X, v[0]]), 1e-10)
    M, _ = one_by_one.dadao_matrix(mu, L)
    states = np.stack([getattr(run.nodes, name)[-1] for name in ("x", "xt", "y", "yt", "z", "zt")])
    now = np.stack([expm(M * (HORIZON - last[i])) @ states[:, i] for i in range(N)], axis=1)
    assert np.abs(now[4]).max() > 0.01
    np.testing.assert_allclose(now[4].sum(0), 0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(now[5].sum(0), 0, rtol=0, atol=1e-11)
