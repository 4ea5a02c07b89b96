"""Late messages: NumPy recursions of constant delays among peers, to a server and down from it; what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl.checks import InputError
from jdl.exchange import Choco, Delayed, Lossy, PerModule, Repeated
from jdl.exchange.linear import Linear
from jdl.schedule import Fixed, GilbertElliott, Sampling, Sleeping
from jdl.types import Each, Wire

N, ROUNDS, LATE = 8, 6, 2
DATA = jdl.problems.quadratic(nodes=N, dim=3)
RING = jdl.topology.ring(N)
STARTS = np.random.default_rng(0).standard_normal((N, 3)).astype(np.float32)
# In slots, as a mailbox is read: another form of the same W may round otherwise.
IN_SLOTS = Fixed(RING.plan("slots"))
init = jax.jit(jdl.sim.init)
advance = jax.jit(lambda s, state, until: jdl.sim.advance(s, state, until)[0])


DPSGD = jdl.algorithms.DPSGD(lr=0.1)
TRACKING, RELAY = jdl.algorithms.GradientTracking(), jdl.algorithms.RelaySGD()


def gossip(network, algorithm=DPSGD, talk=IN_SLOTS, **how):
    return jdl.simulation(DATA, algorithm, talk, network, **how)


def after(simulation, start=None, rounds=ROUNDS):
    return advance(simulation, init(simulation, start), jnp.int32(rounds))


def test_a_constant_delay_among_peers_is_the_recursion_and_no_delay_is_plain_gossip():
    """Of one program, since the probability is an array: 0 is plain gossip bit for bit, 1 the recursion."""
    late = gossip([Delayed(LATE, LATE, 1.0)])
    never = late.replace(exchange=late.exchange.replace(probability=jnp.float32(0)))
    plain, punctual, state = after(gossip([]), STARTS), after(never, STARTS), after(late, STARTS)
    assert np.array_equal(plain.nodes.x, punctual.nodes.x)
    assert np.array_equal(plain.traffic.bits, punctual.traffic.bits)

    A, b, W = np.asarray(DATA.A, float), np.asarray(DATA.b, float), RING.weights.toarray()
    x, sent, diagonal = STARTS.astype(float), [], np.diag(W)[:, None]
    for t in range(ROUNDS):
        sent.append(x - 0.1 * (np.einsum("nij,nj->ni", A, x) - b))
        # Before message 0 arrives, the weights of the links stay with the receiver.
        x = diagonal * sent[t] + (W @ sent[t - LATE] - diagonal * sent[t - LATE]) if t >= LATE else sent[t]
    np.testing.assert_allclose(state.nodes.x, x, rtol=1e-5, atol=1e-5)
    assert np.array_equal(state.traffic.messages, plain.traffic.messages)


def test_delays_are_late_as_often_as_said_and_uniform():
    """Read from what an inbox says of each message; one way of a link is late without the other."""
    exchange, plan = Delayed(rounds=3, least=2, probability=0.6), RING.plan("slots")
    zeros = Each(jnp.zeros((N, 1)))
    wire = Wire(zeros, zeros, jnp.full(N, 32.0), plan, jnp.arange(N, dtype=jnp.int32))
    state = exchange.init(zeros)._replace(t=jnp.int32(9))
    keys = jax.random.split(jax.random.key(3), 500)
    age = np.asarray(jax.jit(jax.vmap(lambda key: exchange.apply(state, wire, key)[0].inbox.age))(keys))
    share, spread = np.bincount(age.ravel(), minlength=4) / age.size, 5 * 0.5 / np.sqrt(age.size)
    np.testing.assert_allclose(share, [0.4, 0, 0.3, 0.3], atol=spread)
    senders = np.asarray(plan.links.senders)
    there, back = age[:, 0, senders[0] == 1], age[:, 1, senders[1] == 0]
    assert abs(np.mean((there > 0) & (back > 0)) - 0.36) < 0.11  # independent; if they were one, 0.6


START = STARTS[0]


def recursion(change, late):
    """x(t + 1) = x(t) + change(x(t - late)), which is zero before round `late`."""
    models = [START.astype(float)]
    for t in range(ROUNDS):
        models.append(models[t] + (change(models[t - late]) if t >= late else 0))
    return models[-1]


def fedavg(talk=None, **how):
    return jdl.simulation(DATA, jdl.algorithms.FedAvg(lr=0.1, weighted=False), talk, **how)


def test_stale_changes_at_a_server_and_stale_models_below_it_by_hand():
    """Changes that are all two rounds late, or models that are: the same recursion. Each message is counted once."""
    A, b = np.asarray(DATA.A, float).mean(axis=0), np.asarray(DATA.b, float).mean(axis=0)
    expected = recursion(lambda x: -0.1 * (A @ x - b), LATE)
    up, down = fedavg(network=[Delayed(LATE, LATE, 1.0)]), fedavg(network_down=[Delayed(LATE, LATE, 1.0)])
    for simulation in (up, down):
        state = after(simulation, START)
        np.testing.assert_allclose(state.server, expected, rtol=1e-5, atol=1e-5)
        assert state.traffic.messages[0, N] == ROUNDS * N
        # A client that has not heard the server yet sends nothing.
        assert np.all(state.traffic.messages[0, :N] == ROUNDS - (LATE if simulation is down else 0))


def test_every_message_of_a_sample_arrives_once_with_other_exchanges_around():
    """Counted by the server over twelve rounds of four clients: what arrived, and what is under way."""
    network = [jdl.compressors.TopK(0.5), Delayed(rounds=2, least=1, probability=0.5)]
    simulation = fedavg(Sampling(N, 4), network=network)

    def told(state, _):
        new, reports = jdl.sim.step(simulation, state)
        return new, jnp.sum(reports.present, dtype=jnp.int32)

    end, arrived = jax.jit(lambda state: jax.lax.scan(told, state, length=12))(init(simulation, START))
    due = np.asarray(end.exchange_state[0][1].box.due)
    under_way = np.sum(due > np.arange(3)[:, None])
    assert int(np.sum(arrived)) + under_way == 12 * 4 == np.sum(end.traffic.messages[0, :N])
    assert 0 < under_way < 8 and np.any(np.asarray(arrived) != 4)


@pytest.mark.parametrize(
    ("words", "make"),
    [
        ("GradientTracking that needs 'doubly_stochastic'", lambda: gossip([Delayed()], TRACKING)),
        ("PushSum that needs 'column_stochastic'", lambda: gossip([Delayed()], jdl.algorithms.PushSum())),
        ("RelaySGD that needs", lambda: gossip([Delayed()], RELAY, jdl.topology.chain(N))),
        ("Choco that needs 'reliable'", lambda: gossip([Delayed(), Choco()])),
        ("Choco that needs 'reliable'", lambda: gossip([Choco(), Delayed()])),
        ("EF21 that needs 'reliable'", lambda: jdl.simulation(DATA, jdl.algorithms.EF21(), None, [Delayed()])),
        ("Delayed that needs 'lasting_links'", lambda: gossip([Delayed()], talk=GilbertElliott.of(RING))),
        ("Delayed that needs 'lasting_links'", lambda: gossip([Delayed()], talk=Sleeping(IN_SLOTS, 0.1))),
        ("put what repeats gossip before what delays", lambda: gossip([Delayed(), Repeated()])),
        ("PerModule behind", lambda: gossip([Delayed(), PerModule.of(np.zeros(N, int))])),
        ("Delayed behind another", lambda: gossip([Delayed(), Delayed()])),
        ("got least=3 and rounds=2", lambda: Delayed(rounds=2, least=3)),
    ],
)  # fmt: skip
def test_what_late_messages_break_is_refused(words, make):
    with pytest.raises(InputError, match=words):
        make()


def test_what_goes_together():
    """Before it several steps of gossip; behind it losses, a rule that ranks, and a codec without memory."""
    gossip([Repeated(2), Delayed(), Lossy(0.1), jdl.compressors.TopK(0.5), jdl.exchange.CoordinateMedian()])
    gossip([Delayed(inner=Linear())], talk=Fixed(RING.plan("dense")))
