"""FedBuff and late messages to a server: the limits, stale updates by hand, and every message arrives once."""

import jax.numpy as jnp
import numpy as np
import pytest
import ways
from programs.buffered_server import FedBuff
from programs.delay_up import DelayUp

import jdl

N, M, LR, DIM = 8, 4, 0.3, 3
DATA = jdl.problems.quadratic(nodes=N, dim=DIM, condition=4.0)
SAMPLED = jdl.schedule.Sampling(N, participants=M)


def of(buffer, network, talk=None, seed=0, **how):
    return jdl.simulation(DATA, FedBuff(lr=LR, buffer=buffer), talk, network, seed=seed, **how)


def trajectory(simulation, rounds):
    """The server's model before each round, and at the end."""
    states = [ways.init(simulation)]
    for t in range(rounds):
        states.append(ways.advance(simulation, states[-1], jnp.int32(t + 1)))
    return states, np.stack([np.asarray(state.server.x) for state in states])


def test_a_buffer_of_one_round_without_delay_is_fedavg():
    fedavg = jdl.simulation(DATA, jdl.algorithms.FedAvg(lr=LR, weighted=False), SAMPLED)
    plain = ways.state_after(fedavg, 6)
    state = ways.state_after(of(M, [DelayUp(rounds=0)], SAMPLED), 6)
    np.testing.assert_allclose(state.server.x, plain.server, rtol=1e-5, atol=1e-6)
    # A client sends 32 bits more, and so does the server: the number of steps so far.
    assert np.array_equal(state.traffic.bits[0], plain.traffic.bits[0] * (DIM + 1) / DIM)


def test_a_buffer_of_two_rounds_acts_in_every_second_one():
    _, x = trajectory(of(2 * M, [DelayUp(rounds=0)], SAMPLED), 6)
    moved = np.any(x[1:] != x[:-1], axis=1)
    assert moved.tolist() == [False, True] * 3


def test_stale_updates_weigh_less_by_hand():
    """All clients, one round late: the first updates are fresh, and the server steps once while others travel."""
    _, x = trajectory(of(N, [DelayUp(rounds=1, least=1)]), 5)
    A, b = np.asarray(DATA.A, float).mean(axis=0), np.asarray(DATA.b, float).mean(axis=0)
    change = lambda x: -LR * (A @ x - b)
    expected = [x[0], x[0]]
    for t in range(1, 5):
        stale = 0 if t == 1 else 1
        expected.append(expected[t] + change(expected[t - 1]) / np.sqrt(1 + stale))
    np.testing.assert_allclose(x, expected, rtol=1e-5, atol=1e-6)


def build(seed=0, loss=0.2, buffer=M, **how):
    """Compressed before it is late, and lost on the last mile."""
    network = [jdl.compressors.TopK(0.5), DelayUp(rounds=2), jdl.exchange.Lossy(loss)]
    return of(buffer, network, SAMPLED, seed, **how)


def test_every_message_arrives_once_and_is_counted_once():
    (*_, state), _ = trajectory(build(loss=0.0, buffer=1000), 9)
    box = state.exchange_state[0][1][0]
    on_the_way = np.sum(box.due > np.arange(3)[:, None])
    assert int(state.server.count) + on_the_way == 9 * M and 0 < on_the_way < 2 * M
    assert np.sum(state.traffic.messages[0, :N]) == 9 * M


def test_a_schedule_learns_of_late_losses_when_they_arrive():
    """The loss of a report is that of its sender, and a loss that does not travel is refused."""
    talk = jdl.schedule.PowerOfChoice.for_nodes(N, participants=M, candidates=N)
    late = [DelayUp(rounds=1, least=1)]
    simulation = jdl.simulation(DATA, jdl.algorithms.AFL(lr=LR, share_lr=0.0), talk, late)
    states = [ways.state_after(simulation, t) for t in range(4)]
    heard = [np.asarray(state.seen.heard) for state in states]
    assert [int(np.sum(clients)) for clients in heard] == [0, 0, M, M]
    x = np.asarray(states[0].server.x)
    losses = np.asarray(DATA.evaluate_for_all(x)["loss"])
    # Changes are averaged over what arrives: those of round 0, at the end of round 1.
    changes = -LR * (np.asarray(DATA.A) @ x - np.asarray(DATA.b))
    np.testing.assert_array_equal(states[1].server.x, x)
    np.testing.assert_allclose(states[2].server.x, x + changes[heard[2]].mean(axis=0), rtol=1e-5, atol=1e-6)
    known = np.asarray(states[-1].seen.values["loss"])
    assert np.sum(known != 0) >= M
    np.testing.assert_allclose(known[known != 0], losses[known != 0], rtol=1e-5)
    with pytest.raises(jdl.checks.InputError, match="send it as an Each part"):
        jdl.simulation(DATA, jdl.algorithms.FedAvg(), talk, late)


@ways.of("buffered_server")
def test_in_all_ways(names):
    ways.check(build, names)
