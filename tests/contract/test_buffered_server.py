"""FedBuff and late messages to a server: the limits, stale updates by hand, and every message arrives once."""

import jax.numpy as jnp
import numpy as np
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


@ways.of("buffered_server")
def test_in_all_ways(names):
    ways.check(build, names)
