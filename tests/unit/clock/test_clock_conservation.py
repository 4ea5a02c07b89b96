"""What is sent is received or lost, node by node, counted in NumPy from what lies on the links; and what it costs."""

import jax
import numpy as np
import pytest

import jdl
from jdl import algorithms, compressors, exchange, schedule, topology
from jdl.clock import Clock, Deadline, FairShare, First, LogNormal, OneAfterAnother, Parallel
from jdl.engine import sim as simulator
from jdl.engine.totals import exact
from jdl.runs.timed import columns

N, ROUNDS = 8, 5
PROBLEM = jdl.problems.quadratic(N, dim=3)
SLOW = LogNormal(1.0, jitter=0.5)
LINES = FairShare(up=900.0, down=500.0, latency=0.3)
RANDOM = np.random.default_rng(1).uniform(0.5, 2.0, N + 1)

CASES = {
    "circulant, lossy": (topology.ring(N), [exchange.Lossy(0.4)], Clock(SLOW, LINES)),
    "slots, late": (topology.erdos_renyi(N, degree=4, seed=1), [], Clock(SLOW, LINES, First(1))),
    "hubs, late and lossy": (topology.star(N), [exchange.Lossy(0.3)], Clock(SLOW, LINES, Deadline(0.9))),
    "groups, late": (topology.complete(N), [], Clock(SLOW, Parallel(500.0, 0.2), First(3))),
    "groups": (topology.complete(N), [], Clock(SLOW, Parallel(500.0, 0.2))),
    "edges that change": (schedule.EpidemicLocal(N, 2), [exchange.Lossy(0.3)], Clock(SLOW, LINES, First(1))),
    "compressed, one after another": (
        topology.ring(N),
        [compressors.TopK(0.4), exchange.Lossy(0.3)],
        Clock(SLOW, OneAfterAnother(up=300.0, down=200.0)),
    ),
    "sleepers": (schedule.Sleeping(schedule.Fixed.of(topology.ring(N)), 0.4), [], Clock(SLOW, LINES)),
}
SLOW_CASES = [pytest.param(case, marks=pytest.mark.slow) for case in CASES if case != "hubs, late and lossy"]


@pytest.mark.parametrize("case", ["hubs, late and lossy", *SLOW_CASES])
def test_peers_receive_what_is_sent_and_not_lost(case):
    talk, network, clock = CASES[case]
    s = jdl.simulation(PROBLEM, algorithms.DPSGD(0.1), talk, network, clock=clock)
    sent, received, lost = counted(s, links_of)
    assert np.all(sent.sum() == received.sum() + lost) and sent.sum() > 0
    assert lost > 0 or not (network or clock.wait)


def counted(s, links_of):
    """Run the rounds, count each of them in NumPy, and compare node by node: f[n] sent, f[n] received, and lost."""
    state, totals = simulator.init(s), None
    look = jax.jit(lambda s, state: simulator.wires(s, state))
    go = jax.jit(lambda s, state: simulator.step(s, state)[0])
    for _ in range(ROUNDS):
        found = links_of(look(s, state))
        totals = found if totals is None else [one + more for one, more in zip(totals, found, strict=True)]
        state = go(s, state)
    sent, received, lost = totals
    np.testing.assert_array_equal(exact(state.traffic.bits), sent)
    np.testing.assert_array_equal(exact(state.clock.received), received)
    return sent, received, lost


def links_of(wires):
    """The bits that each node sends and receives over the links of one round, and all that is lost, by loops."""
    sent, received, lost = np.zeros(N), np.zeros(N), 0.0
    for wire in wires:
        plan = jdl.plan.one_by_one(wire.plan)
        who, to = np.asarray(jdl.plan.senders(plan.links)), np.asarray(jdl.plan.receivers(plan.links))
        there, used = np.asarray(jdl.plan.arrived(plan.links)), np.asarray(plan.links.used)
        who, to, there, used = (np.broadcast_to(x, used.shape).ravel() for x in (who, to, there, used))
        ids = np.arange(N) if plan.participants is None else np.asarray(plan.participants)
        for j, i, arrives, link in zip(who, to, there, used, strict=True):
            bits = float(wire.bits[j]) if link else 0.0
            sent[ids[j]] += bits
            received[ids[i]] += bits if arrives else 0.0
            lost += 0.0 if arrives else bits
    return sent, received, lost


@pytest.mark.parametrize("wait", (None, pytest.param(First(2), marks=pytest.mark.slow)))
def test_a_server_receives_what_clients_send_and_they_what_it_sends(wait):
    """Without losses all bits arrive; of four clients, of whom two are awaited, the others are lost on the way up."""
    clock = Clock(SLOW, LINES, wait, watts=RANDOM[:N], joules_per_bit=RANDOM)
    s = jdl.simulation(PROBLEM, algorithms.FedAvg(lr=0.1), schedule.Sampling(N, 4), clock=clock)
    state = jax.jit(lambda s: simulator.advance(s, simulator.init(s), ROUNDS)[0])(s)
    sent, received = exact(state.traffic.bits), exact(state.clock.received)
    model, asked = 3 * 32, 4 * ROUNDS
    assert sent[-1] == received[:N].sum() == asked * model  # down
    assert sent[:N].sum() == asked * model and received[-1] == (asked if wait is None else 2 * ROUNDS) * model  # up
    joules = (exact(state.clock.computed) * RANDOM[:N]).sum() + (sent * RANDOM).sum()
    row = columns(clock, state, sent)
    np.testing.assert_allclose(row["joules"], joules, rtol=1e-6)
    assert row["bits_received"] == received.sum()
    free = columns(clock.replace(joules_per_bit=RANDOM[:N]), state, sent)["joules"]
    np.testing.assert_allclose(joules - free, sent[-1] * RANDOM[-1], rtol=1e-6)


@pytest.mark.slow
def test_the_energy_of_each_node_is_swept():
    per_bit, watts = np.array([0 * RANDOM[:N], RANDOM[:N]]), np.array([RANDOM[:N], 2 * RANDOM[:N]])
    clocks = [Clock(1.0, LINES, watts=watt, joules_per_bit=bit) for watt, bit in zip(watts, per_bit, strict=True)]
    parts = {"problem": PROBLEM, "algorithm": algorithms.DPSGD(0.1), "topology": topology.star(N)}
    table = jdl.sweep(**parts, clock=jdl.over(*clocks), rounds=3, progress=False)
    degree = np.array([N - 1, *[1] * (N - 1)])
    expected = [3 * (watt.sum() + (bit * degree).sum() * 96) for watt, bit in zip(watts, per_bit, strict=True)]
    joules = table.summarize(["joules"])["joules"].to_numpy()
    np.testing.assert_allclose(np.asarray(joules, float), expected, rtol=1e-6)
