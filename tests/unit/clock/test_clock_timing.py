"""The clock without learning: the seconds of the run itself, and what is refused."""

import numpy as np
import pytest

import jdl
from jdl import algorithms, checks, compressors, exchange, schedule, topology
from jdl.clock import Clock, Deadline, FairShare, LogNormal, OneAfterAnother, Parallel

N = 12
PROBLEM = jdl.problems.quadratic(nodes=N, dim=10)
CLOCK = Clock(LogNormal(0.1), FairShare(up=1e4, down=1e4), watts=5.0, joules_per_bit=1e-3)
LATE = Clock(LogNormal(0.1), Parallel(rate=1e4, latency=0.01), Deadline(0.12))
COLUMNS = ("simulated_seconds", "idle_share", "joules", "bits_sent", "bits_received")

CASES = {
    "ring, top-k, losses": (
        algorithms.DPSGD(0.1),
        topology.ring(N),
        [compressors.TopK(0.3), exchange.Lossy(0.3)],
        CLOCK,
    ),
    "deadline": (algorithms.FedAvg(0.1), schedule.Sampling(N, 5), [exchange.Lossy(0.2)], LATE),
    "peers with a deadline": (algorithms.DPSGD(0.1), schedule.EpidemicLocal(N, degree=3), [], LATE),
    "two exchanges": (
        algorithms.AugDGM(0.1),
        topology.random_regular(N, 3, seed=1),
        [],
        CLOCK.replace(links=OneAfterAnother(up=1e4, down=1e4)),
    ),
    "peers that wait for a time": (algorithms.DPSGD(0.1), topology.random_regular(N, 3, seed=1), [], LATE),
    "sleeping": (algorithms.DPSGD(0.1), schedule.Sleeping(schedule.Fixed.of(topology.star(N)), 0.4), [], CLOCK),
    "messages that travel during steps": (algorithms.EagerDiLoCo(0.01), topology.ring(N), [], CLOCK),
    "losses on the way down": (algorithms.FedAvg(0.1), schedule.Sampling(N, 5), [compressors.QSGD(4)], CLOCK),
    "a method that compresses": (algorithms.BEER(0.1), topology.ring(N), [], CLOCK),
}
DRAWN = ("ring, top-k, losses", "deadline")


@pytest.mark.parametrize(
    "name", [name if name in DRAWN else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
)
def test_the_time_without_learning_is_that_of_the_run(name):
    algorithm, graph, network, clock = CASES[name]
    down = {"network_down": [exchange.Lossy(0.3), compressors.TopK(0.5)]} if "down" in name else {}
    s = jdl.simulation(PROBLEM, algorithm, graph, network, clock=clock, seed=3, **down)
    alone = jdl.timing(s, rounds=7, eval_every=3)
    computed = {"computed": lambda models, state, s: state.clock.computed[0]}
    options = {"clock": clock, "seed": 3, "metrics": computed, "progress": False, **down}
    history = jdl.run(PROBLEM, algorithm, graph, network, rounds=7, eval_every=3, **options).history
    assert alone["round"].tolist() == [0, 3, 6, 7] and history.simulated_seconds[-1] > 0
    for column in COLUMNS:
        np.testing.assert_allclose(alone[column], history[column], rtol=2e-6, err_msg=column)
    if not s.has_server:
        np.testing.assert_allclose(alone.nodes["seconds"].max(axis=1), alone.simulated_seconds, rtol=1e-6)
    np.testing.assert_allclose(alone.nodes["computed"], history.nodes["computed"], rtol=1e-5)
    share = 1 - alone.nodes["computed"].sum(axis=1)[1:] / (N * alone.simulated_seconds[1:])
    np.testing.assert_allclose(alone.idle_share[1:], share, rtol=1e-6)


def test_sizes_can_be_those_of_another_model():
    """A ring at 1 Mbit/s sends two copies of a gigabit, 2,000 s a round beside the step of 3 s."""
    clock = Clock(3.0, FairShare(up=1e6, down=1e6, latency=0.0))
    alone = jdl.timing(jdl.simulation(PROBLEM, algorithms.DPSGD(0.1), topology.ring(N), clock=clock), 4, 2, bits=1e9)
    np.testing.assert_allclose(alone.simulated_seconds, [0, 4006, 8012], rtol=1e-6)
    assert alone.bits_sent.tolist() == [0, 4e9 * N, 8e9 * N]


@pytest.mark.parametrize(
    ("made", "options", "sentence"),
    [
        ((algorithms.DPSGD(0.1), topology.ring(N)), {}, "got a simulation without a clock; give it one"),
        (
            (algorithms.FedAvg(0.1), schedule.PowerOfChoice.for_nodes(N, 4, 8)),
            {"clock": CLOCK},
            "got PowerOfChoice, a schedule that watches loss, .* use jdl.run with this clock",
        ),
        (
            (algorithms.DPSGD(0.1), topology.ring(N), [compressors.Threshold(0.1)]),
            {"clock": CLOCK},
            r"got DPSGD in a network with messages of .* bits in the first 8 rounds, need .*or say bits=",
        ),
    ],
)
def test_what_depends_on_learning_is_refused(made, options, sentence):
    s = jdl.simulation(PROBLEM, *made, **options)
    with pytest.raises(checks.InputError, match=sentence):
        jdl.timing(s, rounds=2)
    if s.clock is not None:
        with pytest.raises(checks.InputError, match=r"need the size of a message|watches"):
            jdl.timing(s, rounds=2, bits=-1)
