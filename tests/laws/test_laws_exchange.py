"""Laws over every algorithm in every exchange: finite, counted by formula, resumable; or refused with a sentence."""

import itertools

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import plan as plans
from jdl.exchange.stack import layers
from jdl.types import PerLink

# Every algorithm meets an exchange, every exchange a dozen algorithms; all pairs meet in the slow suite.
MET = len(cases.EXCHANGES)
PAIRS = list(itertools.product(cases.ALGORITHMS, cases.EXCHANGES))
ROUNDS, SAMPLED = 5, 6


def parts(name):
    """The schedule and the noisy data under which an algorithm is tried."""
    talk = jdl.schedule.sampling(cases.N, SAMPLED) if cases.has_server(name) else None
    return {"schedule_state": talk, "data": cases.problem(noise=0.3)}


def refusal(name, exchange) -> frozenset:
    """What is missing for the pair, from what both declare."""
    algorithm, inner = cases.kind_of(name), layers(exchange)
    has = {"reliable", "one_by_one", "per_link"} | (
        {"server"} if cases.has_server(name) else {"peers", "symmetric", "doubly_stochastic"}
    )
    breaks = frozenset().union(*(layer.breaks for layer in inner))
    needs = frozenset().union(*(layer.needs for layer in inner))
    return (algorithm.needs & breaks) | (needs - (has - breaks))


def allowed(pair):
    return not refusal(pair[0], getattr(jdl.exchange, pair[1])())


ALLOWED = [pair for pair in PAIRS if allowed(pair)]
REFUSED = [pair for pair in PAIRS if not allowed(pair)]


def one_copy_bits(message, network) -> float:
    """Bits of one copy of a message: full size, or what a compressor or a narrower type on its way makes of it."""
    for layer in layers(network):
        if "compressor" in layer.__dataclass_fields__ and jax.tree.leaves(message):
            zeros = jax.tree.map(lambda x: jnp.zeros(x.shape[1:], x.dtype), message)
            return float(layer.compressor(zeros, jax.random.key(0))[1])
    width = min(jnp.dtype(getattr(layer, "dtype", "float32")).itemsize for layer in layers(network))
    each = isinstance(message, PerLink)  # a row for each link, of which one travels on each
    beside = 32.0 * sum(isinstance(layer, jdl.exchange.VarianceCorrected) for layer in layers(network))  # an array
    return sum(8.0 * width * np.prod(leaf.shape[1 + each :]) + beside for leaf in jax.tree.leaves(message))


def copies_a_message(network) -> int:
    """How often one message travels on a link: as often as gossip is repeated in a round."""
    return int(np.prod([getattr(layer, "times", 1) for layer in layers(network)]))


def broadcast_bits(built) -> list[float]:
    """Bits of the server's message in each exchange of a round."""
    server = jax.eval_shape(jdl.sim.init, built).server
    messages = [jax.eval_shape(getattr(built.algorithm, down), server) for down, _, _ in built.algorithm.phases]
    return [sum(32.0 * leaf.size for leaf in jax.tree.leaves(message)) for message in messages]


def some(pairs):
    places = [(cases.ALGORITHMS.index(name) + cases.EXCHANGES.index(exchange)) % MET for name, exchange in pairs]
    return [
        pair if place == 0 else pytest.param(*pair, marks=pytest.mark.slow)
        for place, pair in zip(places, pairs, strict=True)
    ]


@pytest.mark.parametrize(("name", "exchange"), some(ALLOWED))
def test_finite_counted_and_resumable(name, exchange):
    network = getattr(jdl.exchange, exchange)()
    built = cases.build(name, network=[network], **parts(name))
    begun = cases.init(built, cases.starts(name))
    half = cases.advance(built, begun, jnp.int32(2))
    end = cases.advance(built, begun, jnp.int32(ROUNDS))
    assert cases.equal_bits(cases.advance(built, half, jnp.int32(ROUNDS)), end)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves((end.nodes, end.server, end.exchange_state)))
    assert int(end.status) == -1 and int(end.t) == ROUNDS

    copies, bits = np.zeros(end.traffic.bits.shape[1]), np.zeros(end.traffic.bits.shape[1])
    messages, served = cases.messages(built), cases.has_server(name)
    downs = broadcast_bits(built) if served else [0.0] * len(messages)
    for t, (message, down) in itertools.product(range(ROUNDS), zip(messages, downs, strict=True)):
        plan, size = cases.plan_of(built, t), one_copy_bits(message, network)
        sent = np.asarray(plans.out_degree(plan)) * (size > 0) * copies_a_message(network)
        rows = np.arange(cases.N) if plan.participants is None else np.asarray(plan.participants)
        copies[rows] += sent
        bits[rows] += sent * size
        if served:
            copies[cases.N] += SAMPLED * (down > 0)
            bits[cases.N] += SAMPLED * down
    if cases.states_own_size(built):
        assert np.all(end.traffic.messages[0] <= copies) and np.all(end.traffic.bits[0] >= 0)
        assert end.traffic.bits[0].sum() > 0
        return
    # What clients report to the server is small, and the methods' own tests count it.
    reports = 32 * copies[: cases.N] * served * 2
    np.testing.assert_array_equal(end.traffic.messages[0], copies)
    assert np.all(end.traffic.bits[0] >= bits) and np.all(end.traffic.bits[0, : cases.N] <= bits[: cases.N] + reports)
    assert (copies.sum() > 0) == (cases.mixes(name) or served)


@pytest.mark.parametrize(("name", "exchange"), REFUSED)
def test_refused_with_the_missing_need(name, exchange):
    network = getattr(jdl.exchange, exchange)()
    with pytest.raises(jdl.checks.InputError, match="which") as error:
        cases.build(name, network=[network], **parts(name))
    assert any(repr(need) in str(error.value) for need in refusal(name, network))


def test_something_is_refused_and_most_is_allowed():
    assert len(REFUSED) >= 2 and len(ALLOWED) > 4 * len(REFUSED)


PEERS = [
    name for name in cases.ALGORITHMS if not cases.has_server(name) and "fixed_links" not in cases.kind_of(name).needs
]


@pytest.mark.parametrize("name", cases.one_in(6, PEERS))
def test_sleepers_keep_their_copies_in_a_network_with_memory(name):
    """CHOCO's copies of a sleeper must not move, or its neighbours would know what it never sent."""
    talk = jdl.schedule.sleeping(cases.dense(cases.network_of(name)), probability=0.5)
    built = cases.build(name, talk=talk, network=[jdl.exchange.choco(fraction=0.4)])
    sim = cases.advance(built, cases.init(built, cases.starts(name)), jnp.int32(3))
    new = cases.advance(built, sim, jnp.int32(4))
    awake = np.asarray(cases.plan_of(built, 3).active)
    assert 0 < awake.sum() < cases.N
    for old, now in zip(jax.tree.leaves(sim.exchange_state), jax.tree.leaves(new.exchange_state), strict=True):
        assert np.array_equal(old[~awake], now[~awake])
        assert not np.array_equal(old[awake], now[awake])
