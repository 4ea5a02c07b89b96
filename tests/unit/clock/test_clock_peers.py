"""Peers that do not wait for all of their neighbours, against NumPy: who is late, what is mixed, what time it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import algorithms, checks, exchange, schedule, topology
from jdl.clock import Clock, Deadline, FairShare, First, Parallel
from jdl.engine import sim as simulator
from jdl.engine.rounds import plan_at

N, LR, LATENCY = 12, 0.1, 0.25
PROBLEM = jdl.problems.quadratic(nodes=N, dim=3, noise=0.0)
STEP = jax.jit(lambda s, state: simulator.step(s, state)[0])
PLANNED = jax.jit(lambda s, state: plan_at(s, state)[0])
LINKS = Parallel(rate=1e30, latency=LATENCY)


def times(slow=10.0):
    step = np.linspace(1.0, 1.5, N).astype(np.float32)
    step[3] = slow
    return step


def within(seconds):
    """When a node goes on that was ready at `began`: the last arrival, or the deadline."""
    return lambda began, arrivals: np.clip(max(arrivals), began, began + seconds)


def first(count):
    return lambda began, arrivals: max(began, sorted(arrivals)[min(count, len(arrivals)) - 1])


def in_numpy(x, graph, step, goes_on, rounds):
    """Node by node: it computes, and hears of its neighbours what is there when it goes on."""
    W, A, b = graph.weights.toarray(), np.asarray(PROBLEM.A, np.float64), np.asarray(PROBLEM.b, np.float64)
    clock, late = np.zeros(N), 0
    for _ in range(rounds):
        half, ready = x - LR * (np.einsum("nij,nj->ni", A, x) - b), clock + step
        for i in range(N):
            neighbours = [j for j in range(N) if j != i and W[i, j]]
            clock[i] = goes_on(ready[i], [ready[j] + LATENCY for j in neighbours])
            heard = [j for j in neighbours if ready[j] + LATENCY <= clock[i] + 1e-9]
            late += len(neighbours) - len(heard)
            x[i] = half[i] + sum(W[i, j] * (half[j] - half[i]) for j in heard)
    return x, clock, late


CASES = {
    "ring, deadline": (topology.ring, Deadline(2.0), within(2.0)),
    "ring, one backup": (topology.ring, First(1), first(1)),
    "all, some backups": (topology.complete, First(9), first(9)),
    "hubs, deadline": (topology.star, Deadline(1.0), within(1.0)),
}


def test_in_epidemic_learning_nobody_waits_long_for_a_slow_node():
    """EL-Local draws receivers, so that each node hears a number of others of its own; a second more is waited."""
    talk, step = schedule.EpidemicLocal(N, degree=3), times()
    s = jdl.simulation(PROBLEM, algorithms.DPSGD(LR), talk, clock=Clock(step, LINKS, Deadline(1.0)))
    state, clock = simulator.init(s), np.zeros(N)
    for _ in range(5):
        W, ready = np.asarray(topology.to_dense(PLANNED(s, state))), clock + step
        hears = [[ready[j] + LATENCY for j in range(N) if W[i, j] and j != i] for i in range(N)]
        clock = np.array([within(1.0)(ready[i], hears[i] or [0.0]) for i in range(N)])
        after = STEP(s, state)
        got = int(after.clock.received[0].sum() - state.clock.received[0].sum()) // (3 * 32)
        assert got == sum(there <= clock[i] + 1e-9 for i in range(N) for there in hears[i])
        state = after
    np.testing.assert_allclose(np.asarray(state.clock.now) + float(state.clock.since[0]), clock, rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_who_is_late_is_left_out_as_in_numpy(name):
    make, wait, goes_on = CASES[name]
    graph, step = make(N), times()
    s = jdl.simulation(PROBLEM, algorithms.DPSGD(LR), graph, clock=Clock(step, LINKS, wait))
    state = simulator.init(s)
    x, clock, late = in_numpy(np.asarray(simulator.models(s, state), np.float64), graph, step, goes_on, 4)
    assert late > 0
    for _ in range(4):
        state = STEP(s, state)
    np.testing.assert_allclose(simulator.models(s, state), x, atol=2e-6)
    np.testing.assert_allclose(np.asarray(state.clock.now) + float(state.clock.since[0]), clock, rtol=1e-6)


def test_neighbours_of_a_slow_node_go_on_without_it():
    """With a deadline of 2 s the others are never later than (step + 2) a round; without it all wait for node 3."""
    clock = Clock(times(), LINKS, Deadline(2.0), watts=1.0)
    metrics = {"now": lambda models, state, s: state.clock.now + state.clock.since[0]}
    history = lambda clock: (
        jdl.run(
            PROBLEM, algorithms.DPSGD(LR), topology.ring(N), rounds=6, clock=clock, metrics=metrics, progress=False
        ).history
    )
    some, everybody = (history(one).nodes["now"][-1] for one in (clock, clock.replace(wait=None)))
    others = np.arange(N) != 3
    assert np.all(some[others] <= 6 * (1.5 + 2.0) + 1e-4) and some[3] == pytest.approx(60.0)
    assert np.all(everybody[2:5] >= 60)
    patient = history(clock.replace(wait=Deadline(1e6)))
    exact = history(clock.replace(wait=None))
    np.testing.assert_allclose(patient.mean_model_loss, exact.mean_model_loss, rtol=1e-5)
    np.testing.assert_allclose(patient.simulated_seconds, exact.simulated_seconds, rtol=1e-6)
    late = in_numpy(np.zeros((N, 3)), topology.ring(N), times(), within(2.0), 6)[2]
    assert exact.bits_received[-1] - history(clock).bits_received[-1] == late * 3 * 32


def test_late_messages_were_on_the_lines():
    """The hub of a star sends 11 copies, one of them over a slow line: it is late, and takes its share all the same."""
    copy, down = 3 * 32, np.full(N, 1e30, np.float32)
    down[N - 1] = 0.1 * copy
    clock = Clock(1.0, FairShare(up=11.0 * copy, down=down, latency=0.0), Deadline(1.5))
    s = jdl.simulation(PROBLEM, algorithms.DPSGD(LR), topology.star(N), clock=clock)
    after = STEP(s, simulator.init(s)).clock
    now = np.asarray(after.now) + float(after.since[0])
    np.testing.assert_allclose(now, [1 + 1 / 11, *[1 + 10 / (11 - 0.1)] * 10, 2.5], rtol=1e-6)
    np.testing.assert_array_equal(after.received[0], [11 * copy, *[copy] * 10, 0])


@pytest.mark.slow
@pytest.mark.parametrize("graph", [topology.exponential(N), topology.ring(N)], ids=["directed", "undirected"])
def test_late_messages_take_nothing_from_sums(graph):
    """Push-sum, whose senders keep the weight of what is late: without steps the sums stay what they are."""
    s = jdl.simulation(PROBLEM, algorithms.PushSum(0.0), graph, clock=Clock(times(), LINKS, First(1)))
    start = np.random.default_rng(0).standard_normal((N, 3)).astype(np.float32)
    state = simulator.init(s, start)
    for _ in range(5):
        state = STEP(s, state)
    sums = [np.asarray(leaf).sum(axis=0) for leaf in jax.tree.leaves(state.nodes)]
    assert any(np.allclose(one, start.sum(axis=0), atol=1e-5) for one in sums)
    assert any(one.shape == () and np.isclose(one, N, atol=1e-5) for one in sums)


@pytest.mark.slow
def test_theory_predicts_runs_in_which_some_are_late():
    """With steps of one length, who is late in a round is known."""
    clock, graph = Clock(times(slow=1.9), LINKS, Deadline(0.3)), topology.ring(N)
    options = {"clock": clock, "eval_every": 1, "progress": False}
    history = jdl.run(PROBLEM, algorithms.DPSGD(LR), graph, rounds=6, **options).history
    assert history.bits_received[-1] < history.bits_sent[-1]
    expected = jdl.theory.predict(jdl.simulation(PROBLEM, algorithms.DPSGD(LR), graph, clock=clock), 6)
    np.testing.assert_allclose(history.mean_loss, expected.columns["mean_loss"], atol=1e-6)


@pytest.mark.parametrize(
    ("method", "graph", "network", "sentence"),
    [
        (algorithms.GradientTracking(0.1), topology.ring(N), [], "which a clock breaks that drops late messages"),
        (algorithms.DPSGD(0.1), topology.ring(N), [exchange.Choco(jdl.compressors.TopK(0.5))], "leave `wait` out"),
        (algorithms.Scaffold(0.1), None, [], "leave `wait` out of the clock"),
    ],
)
def test_methods_that_need_all_messages_are_refused(method, graph, network, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        jdl.simulation(PROBLEM, method, graph, network, clock=Clock(wait=Deadline(2.0)))


def test_many_wait_in_one_list_as_each_waits_alone():
    """Over edges of any order, some without a copy, some nodes without an edge, and equal arrivals."""
    rng = np.random.default_rng(3)
    for wait in (First(1), First(2), First(50), Deadline(0.0), Deadline(0.4), Deadline(np.inf)):
        began, into = rng.random(9).astype(np.float32), rng.integers(0, 8, 40).astype(np.int32)  # node 8 has no edge
        arrivals, used = rng.integers(0, 12, 40).astype(np.float32) / 8, rng.random(40) < 0.7
        keep, ends = wait.until_each(*map(jnp.asarray, (began, arrivals, used, into)))
        for i in range(9):
            own = into == i
            alone = wait.until(began[i], jnp.asarray(arrivals), jnp.asarray(used & own))
            np.testing.assert_array_equal(np.asarray(keep)[own], np.asarray(alone[0])[own])
            assert ends[i] == alone[1]
