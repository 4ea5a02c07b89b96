"""The clock of whole runs: closed forms, a (max, +) product in NumPy, servers, and what is refused."""

import jax
import numpy as np
import pytest

import jdl
from jdl import algorithms, checks, compressors, exchange, topology
from jdl.clock import Clock, Deadline, Exponential, FairShare, First, LogNormal, OneAfterAnother, Parallel
from jdl.engine import sim as simulator
from jdl.engine.state import untimed

N, BITS = 16, 10 * 32  # a model of ten numbers
AT_ONCE = Parallel(rate=1e30, latency=0.0)
PROBLEM = jdl.problems.quadratic(nodes=N)


def seconds(algorithm, graph, clock, rounds=3, **options):
    run = jdl.run(PROBLEM, algorithm, graph, rounds=rounds, eval_every=1, clock=clock, progress=False, **options)
    return run.history


def test_virtual_time_of_a_ring_under_three_models_of_lines():
    """3 s of computation, and slots of one copy: published for lines that carry one copy at a time, 3 + 3 slots."""
    rate, slot = BITS / 0.346223, 0.346223
    for links, slots in ((Parallel, 1), (FairShare, 2), (OneAfterAnother, 3)):
        lines = {"rate": rate} if links is Parallel else {"up": rate, "down": rate}
        history = seconds(algorithms.DPSGD(0.1), topology.ring(N), Clock(step=3.0, links=links(**lines, latency=0.0)))
        np.testing.assert_allclose(history.simulated_seconds, np.arange(4) * (3 + slots * slot), rtol=1e-6)
        np.testing.assert_allclose(history.idle_share[1:], 1 - 3 / (3 + slots * slot), rtol=1e-5)
        np.testing.assert_array_equal(history.bits_received, history.bits_sent)


def test_messages_hide_behind_steps_on_which_they_do_not_depend():
    """DGD sends its model while it computes; DPSGD sends the result; CTA computes at what arrives; the rest overlap."""
    links, ring = Parallel(rate=1e30, latency=0.4), topology.ring(N)
    per_round = lambda *args: np.diff(seconds(*args).simulated_seconds)
    assert np.allclose(per_round(algorithms.DGD(0.1), ring, Clock(1.0, links)), 1.0)
    assert np.allclose(per_round(algorithms.DGD(0.1), ring, Clock(0.1, links)), 0.4)
    assert np.allclose(per_round(algorithms.DPSGD(0.1), ring, Clock(1.0, links)), 1.4)
    assert np.allclose(per_round(algorithms.CTA(0.1), ring, Clock(1.0, links)), 1.4)
    # Ten local steps, whose message travels while the next ten are computed, if it is not slower than they.
    assert np.allclose(per_round(algorithms.EagerDiLoCo(0.01), ring, Clock(1.0, links)), 10.0)
    # A message of 15 s is ready after 10 s, and needed 10 s later: two rounds take 25 s.
    late = per_round(algorithms.EagerDiLoCo(0.01), ring, Clock(1.0, links.replace(latency=15.0)), 6)
    assert np.allclose(late[1:-1:2] + late[2::2], 25.0)


def test_one_slow_node_delays_its_neighbours_by_one_hop_a_round():
    """In any form of a plan, the clocks are those of a (max, +) product in NumPy."""
    step = np.ones(N, np.float32)
    step[3] = 10.0
    graphs = (topology.ring(N), topology.random_regular(N, 3, seed=1), topology.star(N), topology.complete(N))
    for graph in graphs:
        s = jdl.simulation(PROBLEM, algorithms.DPSGD(0.1), graph, clock=Clock(step, AT_ONCE))
        neighbours, now = graph.weights.toarray() != 0, np.zeros(N)
        state = simulator.init(s)
        for _ in range(3):
            state = STEP(s, state)
            now = np.where(neighbours, (now + step)[None, :], -np.inf).max(axis=1)
            offset = float(state.clock.since[0])
            np.testing.assert_allclose(np.asarray(state.clock.now) + offset, now, rtol=1e-6)
        if graph is graphs[0]:
            assert np.flatnonzero(now > 10).tolist() == [0, 1, 2, 3, 4, 5, 6][: len(np.flatnonzero(now > 10))]


STEP = jax.jit(lambda s, state: simulator.step(s, state)[0])


def test_a_server_waits_for_all_or_the_first_or_a_time():
    step = np.arange(1, N + 1, dtype=np.float32)
    run = lambda wait, **options: seconds(algorithms.FedAvg(0.1), None, Clock(step, AT_ONCE, wait), **options)
    assert run(None).simulated_seconds.tolist() == [0, 16, 32, 48]
    first = run(First(4), metrics={"busy": lambda models, state, s: state.clock.computed[0]})
    assert first.simulated_seconds.tolist() == [0, 4, 8, 12]
    assert first.nodes["busy"][-1].tolist() == [3.0, 6.0, 9.0] + [12.0] * 13  # who is late is told to stop
    none = run(Deadline(0.5))
    assert none.simulated_seconds.tolist() == [0, 0.5, 1.0, 1.5] and np.ptp(none.mean_model_loss) == 0
    some = run(Deadline(4.5))
    assert some.simulated_seconds.tolist() == [0, 4.5, 9.0, 13.5]
    np.testing.assert_allclose(some.mean_model_loss, first.mean_model_loss, rtol=1e-6)


def test_backup_workers_take_the_time_of_order_statistics():
    """Of n exponential times, the n - b first ones end after (H_n - H_b) times the mean."""
    clock = lambda wait: Clock(Exponential(2.0), AT_ONCE, wait)
    H = lambda k: sum(1 / i for i in range(1, k + 1))
    for backup in (0, 4):
        history = jdl.run(PROBLEM, algorithms.FedSGD(0.1), rounds=400, clock=clock(First(N - backup))).history
        # The variance of an order statistic is below pi^2 / 6 times the squared mean.
        assert abs(history.simulated_seconds[-1] / 400 - 2 * (H(N) - H(backup))) < 5 * 2 * 1.3 / np.sqrt(400)


def test_energy_and_what_is_lost_or_not_sent_and_seeds():
    clock = Clock(LogNormal(0.1), FairShare(up=1e4, down=1e4), watts=50.0, joules_per_bit=1e-3)
    network = [compressors.TopK(0.2), exchange.Lossy(0.3)]
    one = seconds(algorithms.DPSGD(0.1), topology.ring(N), clock, network=network)
    assert np.all(one.bits_received[1:] < 0.9 * one.bits_sent[1:])
    busy = (1 - one.idle_share) * one.simulated_seconds * N
    np.testing.assert_allclose(one.joules, 50 * busy + 1e-3 * one.bits_sent, rtol=1e-5)
    both = seconds(algorithms.DPSGD(0.1), topology.ring(N), clock, network=network, seeds=2)
    np.testing.assert_allclose(both.simulated_seconds[:, 0], one.simulated_seconds, rtol=1e-5)
    assert both.simulated_seconds[-1, 0] != both.simulated_seconds[-1, 1]


@pytest.mark.parametrize(
    ("clock", "sentence"),
    [
        (3.0, r"got clock=3.0, need a jdl.clock.Clock; try Clock\(step=0.1\)"),
        (Clock(step="slow"), "got step='slow', need seconds"),
        (Clock(step=-1.0), "step"),
        (Clock(step=np.ones(3)), r"got steps of shape \(3,\), need one number, or one for each of n=16 nodes"),
        (Clock(links=3), "got links=3, need a part such as jdl.clock.FairShare"),
    ],
)
def test_what_is_no_clock_is_refused(clock, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        jdl.simulation(PROBLEM, algorithms.DPSGD(0.1), topology.ring(N), clock=clock)


def test_steps_whose_number_is_not_known_are_told():
    build = lambda **options: jdl.simulation(
        PROBLEM, algorithms.GTSARAH(0.1), topology.ring(N), clock=Clock(1.0, AT_ONCE, **options)
    )
    with pytest.raises(checks.InputError, match=r"GTSARAH, whose number of steps .*Clock\(\.\.\., steps=5\)"):
        build()
    assert build(steps=2.5).work[0].before == 2.5


def test_a_mailbox_of_late_messages_has_no_clock():
    with pytest.raises(checks.InputError, match="a clock says in seconds how late they are"):
        jdl.simulation(PROBLEM, algorithms.DPSGD(0.1), topology.ring(N), [exchange.Delayed(2)], clock=Clock())


def test_what_does_not_wait_is_derived_and_predicted_without_its_clock():
    s = jdl.simulation(PROBLEM, algorithms.DPSGD(0.1), topology.ring(N), clock=Clock())
    assert jdl.differentiable(s).clock is None  # its lines share their rates in a loop that cannot be reversed
    waits = jdl.simulation(PROBLEM, algorithms.FedAvg(0.1), clock=Clock(wait=First(3)))
    assert untimed(waits) is waits


def test_a_run_goes_on_by_its_clock(tmp_path):
    clock = Clock(LogNormal(0.1), FairShare(up=1e4, down=1e4))
    ring, rounds = topology.ring(N), {"rounds": 6}
    whole = seconds(algorithms.DPSGD(0.1), ring, clock, **rounds).simulated_seconds
    seconds(algorithms.DPSGD(0.1), ring, clock, run_dir=tmp_path)
    assert (
        seconds(algorithms.DPSGD(0.1), ring, clock, **rounds, run_dir=tmp_path, resume=True).simulated_seconds.tolist()
        == whole.tolist()
    )
