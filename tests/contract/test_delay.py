"""Delay: late messages against a NumPy loop, its limit without delay, and what goes with it in a network."""

import jax.numpy as jnp
import numpy as np
import ways
from flax import struct
from programs.delay import Delay

import jdl
from jdl.types import Each, number

N, ROUNDS = 8, 5
DATA = jdl.problems.quadratic(nodes=N, dim=3)
# In slots, as a mailbox is read: another form of the same W may round otherwise.
RING = jdl.schedule.Fixed(jdl.topology.ring(N).plan("slots"))
STARTS = np.random.default_rng(0).standard_normal((N, 3)).astype(np.float32)


def gossip(network, lr=0.0, **how):
    return jdl.simulation(DATA, jdl.algorithms.DPSGD(lr=lr), RING, network, **how)


def run(simulation, rounds=ROUNDS):
    return ways.advance(simulation, ways.init(simulation, STARTS), jnp.int32(rounds))


def test_without_delay_it_is_plain_gossip_bit_for_bit():
    plain, delayed = run(gossip([], lr=0.1)), run(gossip([Delay(rounds=0)], lr=0.1))
    assert np.array_equal(plain.nodes.x, delayed.nodes.x)
    assert np.array_equal(plain.traffic.bits, delayed.traffic.bits)


def test_a_constant_delay_is_the_recursion():
    d, W, past = 2, jdl.topology.ring(N).weights.toarray(), [STARTS.astype(float)]
    off = W - np.diag(np.diag(W))
    for t in range(ROUNDS):
        now = past[-1]
        heard = past[t - d] if t >= d else None
        # Before message 0 arrives, the weights of the links stay with the receiver.
        past.append(np.diag(W)[:, None] * now + off @ heard if t >= d else now)
    state, plain = run(gossip([Delay(rounds=d, least=d)])), run(gossip([]))
    np.testing.assert_allclose(state.nodes.x, past[-1], rtol=1e-5, atol=1e-6)
    assert np.abs(past[-1] - np.asarray(plain.nodes.x)).max() > 0.01
    assert np.array_equal(state.traffic.bits, plain.traffic.bits) and np.all(plain.traffic.bits[0] == ROUNDS * 2 * 96)


@struct.dataclass
class Listens:
    """Every node sends the number of the round, and keeps the last inbox."""

    lr: float = number(0.0)
    needs = frozenset({"peers", "each", "grad"})
    phases = (("send", "recv"),)

    def init(self, params, node):
        k = node.links.ids.shape[0]
        zero = jnp.zeros(k, jnp.int32)
        return params, Each(zero, zero, jnp.zeros(k), jnp.zeros(k, bool), zero), node.links.ids

    def send(self, state, node):
        return Each(node.t), state

    def recv(self, state, inbox, node):
        return (state[0], inbox, node.links.ids), {}

    def model(self, state):
        return state[0]


def test_an_inbox_shows_the_age_of_each_message():
    simulation = jdl.simulation(DATA, Listens(), RING, [Delay(rounds=3)])
    ages = set()
    for t in range(ROUNDS + 2):
        (_, each, ids), early = run(simulation, t + 1).nodes, t < 3
        assert np.array_equal(each.ids, ids)
        assert np.array_equal(each.arrived, each.age <= t) and (early or np.all(each.arrived))
        assert np.array_equal(each.content, np.where(each.arrived, t - each.age, 0))
        ages |= set(np.unique(each.age))
    assert ages == {0, 1, 2, 3}


def network():
    """Compressed before it is late; then lost, and a median over what arrives."""
    return [jdl.compressors.TopK(0.5), Delay(rounds=2), jdl.exchange.Lossy(0.2), jdl.exchange.CoordinateMedian()]


def test_traffic_is_what_is_sent_compressed_once_on_each_link():
    bits = run(gossip(network())).traffic.bits[0]
    assert np.all(bits == ROUNDS * 2 * 2 * (32 + 2))  # rounds, links, entries, bits of an entry and its index


def build(seed=0, **how):
    return gossip(network(), lr=0.1, seed=seed, **how)


@ways.of("delay")
def test_in_all_ways(names):
    ways.check(build, names)
