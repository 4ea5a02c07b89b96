"""Methods at Poisson times: waves against the same events one at a time in NumPy, and what theory says of them."""

import functools

import beds
import jax
import numpy as np
import numpy_poisson as one_by_one
import pytest
from beds import N
from scipy.linalg import expm
from table import LR, X

import jdl
from jdl import algorithms, events, topology
from jdl.engine import sim as simulator
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


def ended(method, waves, problem, start=X, rounds=None):
    """The models after some waves, or after all."""
    s = jdl.simulation(problem, method, waves)
    state = beds.advance(s, simulator.init(s, start), waves.waves if rounds is None else rounds)[0]
    return np.asarray(simulator.models(s, state))


def test_a2cid2_agrees_sooner_than_gossip_on_a_ring():
    """Measured on 16 nodes that meet once a second for a minute: 2e-6 of the disagreement is left, of gossip 2e-3.

    Theory: times of sqrt(chi1 chi2) = 3.5 s in place of chi1 = 13 s.
    """
    ring = topology.ring(16)
    chi, waves, x = topology.meeting_constants(ring), Waves.poisson(ring, horizon=60.0), beds.start(n=16)
    assert (chi.chi1, np.sqrt(chi.chi1 * chi.chi2)) == pytest.approx((13.137, 3.509), rel=1e-3)
    left = []
    for method in (algorithms.DPSGD(lr=0.0), algorithms.A2CiD2(lr=0.0, **chi._asdict())):
        models = ended(method, waves, beds.quadratic(n=16), x)
        left.append(np.square(models - models.mean(0)).sum() / np.square(x - x.mean(0)).sum())
    assert left[1] < 1e-5 and left[0] > 1e-3


def test_dadao_reaches_the_optimum():
    """To 1e-6 in 450 seconds, as many gradients of each node: data differ, and no step size is small."""
    problem, per_second = beds.quadratic(), 2.2
    chi1, chi2 = topology.meeting_constants(GRAPH, per_second)
    assert np.sqrt(2 * chi1 * chi2) < 1
    waves = Waves.poisson(GRAPH, 1.0, per_second, horizon=450.0)
    models = ended(algorithms.DADAO(lr=1.0, mu=0.25, chi1=chi1), waves, problem)
    beds.close(models, beds.optimum(problem), 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("graph", [topology.ring(N), topology.complete(N)], ids=["ring", "complete"])
def test_dadao_needs_as_many_gradients_on_every_graph(graph):
    """If edges are used so often that sqrt(2 chi1 chi2) = 1. The losses are those of a ridge regression."""
    rng = np.random.default_rng(0)
    data, target = rng.standard_normal((N, 12, 5)), rng.standard_normal((N, 12))
    A = np.einsum("nmi,nmj->nij", data, data) / 12 + 0.3 * np.eye(5)
    b = np.einsum("nmi,nm->ni", data, target) / 12
    made = beds.quadratic()
    problem = made.replace(A=jax.numpy.asarray(A), b=jax.numpy.asarray(b))
    values = np.linalg.eigvalsh(A)
    one = topology.meeting_constants(graph, 1.0)
    per_second = np.sqrt(2 * one.chi1 * one.chi2)
    chi = topology.meeting_constants(graph, per_second)
    seconds = 100 * np.sqrt(values.max() / values.min()) * 2.5
    waves = Waves.poisson(graph, 1.0, per_second, horizon=float(seconds))
    models = ended(algorithms.DADAO(lr=1 / values.max(), mu=values.min(), chi1=chi.chi1), waves, problem)
    beds.close(models, np.linalg.solve(A.mean(0), b.mean(0)), 1e-6)


# ---- where methods of constant step size end in the mean ---------------------------------------------------------


def sampled(method, waves, problem, start=X):
    """The states at the ends of all windows but the last, leaves `[windows, n, ...]`."""
    s = jdl.simulation(problem, method, waves)

    def body(state, _):
        state = simulator.advance(s, state, state.t + waves.waves_per_window)[0]
        return state, state.nodes

    run = beds.jit(lambda state: jax.lax.scan(body, state, None, waves.waves // waves.waves_per_window - 1)[1])
    return jax.tree.map(np.asarray, run(simulator.init(s, start)))


def agrees(samples, mean, other):
    """The time average is the predicted mean within 4.5 standard errors (25 batches), and far from something else."""
    size = len(samples) // 26
    batches = samples[-25 * size :].reshape(25, size, *samples.shape[1:]).mean(1)
    error, found = batches.std(0, ddof=1) / 5, batches.mean(0)
    assert np.all(np.abs(found - mean) < 4.5 * error)
    assert np.sqrt(np.mean(np.square((found - mean) / error))) < 1.5
    assert np.abs((found - other) / error).max() > 10


def blocks(of_nodes, d):
    """The same for each coordinate: of `[2, n]` numbers of nodes to `[2, n, d]` of their models."""
    return np.kron(of_nodes, np.eye(d))


def ad_psgd_mean(problem, lr):
    """The fixed point of E[one event] of (x, stale): all nodes act alike often, and find all neighbours alike often."""
    A, b = np.asarray(problem.A), np.asarray(problem.b)
    d, E, h = A.shape[1], 0.0, np.zeros((2, N, A.shape[1]))
    neighbours = [[int(j) for j in np.flatnonzero(row) if j != i] for i, row in enumerate(GRAPH.weights.toarray())]
    for i, others in enumerate(neighbours):
        for j in others:
            B = np.eye(2 * N)
            B[[i, j]] = 0
            B[i, [i, j]] = B[j, [i, j]] = 0.5
            B[N + i] = B[i]
            event = blocks(B, d)
            for row in (i, N + i):  # the gradient is that at the stale model
                event[row * d : (row + 1) * d, (N + i) * d : (N + i + 1) * d] -= lr * A[i]
            E = E + event / N / len(others)
        h[:, i] += lr * b[i] / N
    return np.linalg.solve(np.eye(len(E)) - E, h.ravel()).reshape(2, N, d)


def a2cid2_mean(problem, lr, eta, alpha_tilde):
    """The fixed point of the mean of (x, x~) in continuous time: drift, gradients once a second, and meetings."""
    A, b = np.asarray(problem.A), np.asarray(problem.b)
    d, h = A.shape[1], lr * np.stack([b, b])
    Q = blocks(np.kron(eta * np.array([[-1.0, 1.0], [1.0, -1.0]]), np.eye(N)), d)
    for i in range(N):
        for row in (i, N + i):
            Q[row * d : (row + 1) * d, i * d : (i + 1) * d] -= lr * A[i]
    for i, j in GRAPH.edges:
        p = np.eye(2 * N)[i] - np.eye(2 * N)[j]
        Q += N * MEETINGS / 2 / GRAPH.edge_count * blocks(-np.outer(np.r_[p[:N] / 2, alpha_tilde * p[:N]], p), d)
    return np.linalg.solve(-Q, h.ravel()).reshape(2, N, d)


def test_ad_psgd_at_equal_speeds_ends_where_its_mean_does():
    """At a constant step size: on every node, not at the optimum, from which D-PSGD also stays at a distance."""
    problem = beds.quadratic()
    waves = Waves.pairs(GRAPH, horizon=2500.0, window_events=32)
    states = sampled(algorithms.ADPSGD(lr=0.1), waves, problem)
    agrees(states.x, ad_psgd_mean(problem, 0.1)[0], beds.optimum(problem))


@pytest.mark.slow
def test_a2cid2_ends_where_its_mean_does():
    """Of (x + x~) / 2, which does not change between events."""
    problem = beds.quadratic()
    waves = Waves.poisson(GRAPH, 1.0, MEETINGS, horizon=4000.0, window_seconds=4.0)
    states = sampled(algorithms.A2CiD2(lr=0.1, **CHI._asdict()), waves, problem)
    eta, strength = 1 / (2 * np.sqrt(CHI.chi1 * CHI.chi2)), np.sqrt(CHI.chi1 / CHI.chi2) / 2
    agrees((states.x + states.other) / 2, a2cid2_mean(problem, 0.1, eta, strength).mean(0), beds.optimum(problem))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ADPSGD", "A2CiD2", "DPSGD"])
def test_at_decaying_rates_all_end_at_the_optimum_of_rounds(name):
    """Nodes of equal speeds on data that differ: the rms distance falls at least as the root of the rate, 7-fold here.

    It is a distance of one run, so that half as much in its logarithm is asked for.
    """
    problem, chi = beds.quadratic(), CHI._asdict() if name == "A2CiD2" else {}
    method = getattr(algorithms, name)(lr=0.3, decay=lambda t: 1 / (1 + t / 300), **chi)
    make = Waves.pairs if name == "ADPSGD" else functools.partial(Waves.poisson, meetings_per_second=MEETINGS)
    waves = make(GRAPH, horizon=6000.0)
    rounds = np.array([waves.waves // 64, waves.waves])
    models = [ended(method, waves, problem, rounds=int(k)) for k in rounds]
    early, late = (np.sqrt(np.mean(np.square(x - beds.optimum(problem)))) for x in models)
    fall = np.sqrt((1 + rounds[1] / 300) / (1 + rounds[0] / 300))
    print(name, early, late, fall)
    assert fall > 6 and early / late > np.sqrt(fall)


@pytest.mark.parametrize("graph", [topology.chain(2), GRAPH], ids=["two", "eight"])
def test_swarm_sgd_where_both_work_is_one_meeting_at_a_time(graph):
    """Of two nodes each meeting is a round of adapt-then-combine with W = J."""
    n = graph.n
    problem, x = beds.quadratic(n=n), X[:n].copy()
    waves, g = Waves.meetings(graph, horizon=10.0, seed=2), full(problem)
    rates = topology.edge_rates(graph)
    for i, j in zip(*events.meetings(rates, graph.edges, 10.0, (2, 1))[1:], strict=True):
        x[[i, j]] = (x[i] - LR * g(x[i], 0, i) + x[j] - LR * g(x[j], 0, j)) / 2
    beds.same(np.stack([X[:n], ended(algorithms.SwarmSGD(lr=LR), waves, problem, X[:n])]), np.stack([X[:n], x]), 1e-10)
