"""Laws over classes of methods in every exchange: finite, counted by formula, resumable; or refused."""

import itertools
import re

import cases
import classes
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import plan as plans
from jdl.exchange.stack import layers
from jdl.types import PerLink

PAIRS = list(itertools.product(cases.ALGORITHMS, cases.EXCHANGES))
ROUNDS, PARTICIPANTS = 5, 6
# Pairs drawn beside those of each kind of message and each exchange.
MORE = 2


def parts(name, exchange):
    """The schedule, the noisy data and the liars under which an algorithm is tried."""
    talk = jdl.schedule.Sampling(cases.N, PARTICIPANTS) if cases.has_server(name) else None
    roles = jdl.roles.draw(cases.N, dishonest=2) if exchange == "sign_flip" else None
    return {"talk": talk, "data": cases.problem(noise=0.3), "roles": roles}


# What is refused, and why, written down here and not read from what the parts declare.
# Messages that differ from neighbour to neighbour are not one array, and have no mean.
OF_LINKS = {"ATG", "PowerGossip", "RelaySGD"}
# x / w of push-sum holds only where both are sums of one column-stochastic W, which medians, a polynomial of W with
# negative weights and a stretched mean are not.
OF_COLUMNS = {"OverlapSGP", "PushSum"}
# Several steps among peers, or copies that peers keep.
AMONG_PEERS = {*cases.SERVERS}
# Numbers of one message are mixed by different matrices, and some of them do not arrive.
LOSING_PARTS = {*cases.LOSING, *OF_LINKS, *OF_COLUMNS}
REFUSED_IN = {
    "lossy": cases.LOSING,
    "random_share": LOSING_PARTS,
    "slice_loss": LOSING_PARTS,
    "fragments": LOSING_PARTS | AMONG_PEERS,
    **dict.fromkeys(("top_k", "rand_k", "uniform", "statistical", "low_rank", "power_sgd"), OF_LINKS),
    **dict.fromkeys(("coordinate_median", "trimmed_mean"), OF_LINKS | OF_COLUMNS),
    **dict.fromkeys(("choco", "repeated", "triggered", "until_consensus"), OF_LINKS | AMONG_PEERS),
    **dict.fromkeys(("chebyshev", "variance_corrected"), OF_LINKS | OF_COLUMNS | AMONG_PEERS),
}


# They count shares of a message, which are rounded.
SHARES = {"slice_loss"}
# They leave out some of what could be sent, and their own tests say how much.
SPARING = {"fragments", "random_share", "triggered", "until_consensus"}

REFUSED = [(name, exchange) for name, exchange in PAIRS if name in REFUSED_IN.get(exchange, ())]
ALLOWED = [pair for pair in PAIRS if pair not in REFUSED]


def one_copy_bits(message, network) -> float:
    """Bits of one copy of a node's message: full size, or what a compressor or a narrower type makes of it."""
    stack = layers(jdl.exchange.stack(network))
    compressors = [layer.compressor for layer in stack if "compressor" in layer.__dataclass_fields__]
    half = any(isinstance(compressor, jdl.compressors.HalfPrecision) for compressor in compressors)
    if compressors and not half and jax.tree.leaves(message):
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), message)
        return float(compressors[0](compressors[0].init(zeros), zeros, jax.random.key(0))[2])
    width = 2 if half else 4
    each = isinstance(message, PerLink)  # a row for each link, of which one travels on each
    beside = 32.0 * isinstance(network[0], jdl.exchange.VarianceCorrected)  # an array
    return sum(8.0 * width * np.prod(leaf.shape[each:]) + beside for leaf in jax.tree.leaves(message))


def copies_a_message(network) -> int:
    """How often one message travels on a link, at most: as often as gossip is repeated in a round."""
    times = lambda layer: getattr(layer, "times", getattr(layer, "most", 1))
    return int(np.prod([times(layer) for layer in layers(jdl.exchange.stack(network))]))


def remembers(exchange) -> bool:
    """Whether links keep something from round to round, for each exchange of a round apart."""
    message = jax.ShapeDtypeStruct((cases.N, cases.DIM), jnp.float32)
    return bool(jax.tree.leaves(jax.eval_shape(jdl.exchange.stack(cases.network_of_one(exchange)).init, message)))


def met_by(exchange) -> frozenset[str]:
    """The methods that meet an exchange: of each kind of message where it is the one drawn among those that remember,
    or among those that do not; the others meet peers, clients of a server, or peers that know their links, by turns.
    """
    alike = [other for other in cases.EXCHANGES if remembers(other) == remembers(exchange)]
    if exchange == alike[classes.SEED % len(alike)]:
        return classes.representatives(classes.of_messages)
    rows = {classes.of_rows(classes.facts(name)): name for name in classes.representatives(classes.of_rows)}
    refused = REFUSED_IN.get(exchange, ())
    allowed = [name for _, name in sorted(rows.items()) if name not in refused]
    allowed = allowed or [name for name in cases.ALGORITHMS if name not in refused]
    return frozenset({allowed[(classes.SEED + cases.EXCHANGES.index(exchange)) % len(allowed)]})


def some(pairs):
    """Every exchange with the methods that it meets, and a few pairs more; the rest in the slow suite."""
    met = {exchange: met_by(exchange) for exchange in cases.EXCHANGES}
    rest = [(name, exchange) for name, exchange in pairs if name not in met[exchange]]
    slow = {rest[i] for i in np.random.default_rng(classes.SEED).permutation(len(rest))[MORE:]}
    return [pytest.param(*pair, marks=pytest.mark.slow) if pair in slow else pair for pair in pairs]


@pytest.mark.parametrize(("name", "exchange"), some(ALLOWED))
def test_finite_counted_and_resumable(name, exchange):
    network, facts = cases.network_of_one(exchange), classes.facts(name)
    built = cases.build(name, network=network, **parts(name, exchange))
    begun = cases.init(built, cases.starts(name))
    half, _ = cases.advance(built, begun, jnp.int32(2))
    end, _ = cases.advance(built, begun, jnp.int32(ROUNDS))
    assert cases.equal_bits(cases.advance(built, half, jnp.int32(ROUNDS))[0], end)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves((end.nodes, end.server, end.exchange_state)))
    assert int(end.status) == -1 and int(end.t) == ROUNDS

    copies, bits = np.zeros(end.traffic.bits.shape[1]), np.zeros(end.traffic.bits.shape[1])
    downs = [sum(32.0 * leaf.size for leaf in jax.tree.leaves(down)) for down in facts.downs] or [0.0] * facts.exchanges
    sizes = [one_copy_bits(message, network) for message in facts.messages]
    for t in range(ROUNDS):
        plan = cases.plan_of(built, t)
        out = np.asarray(plans.out_degree(plan))
        rows = np.arange(cases.N) if plan.participants is None else np.asarray(plan.participants)
        for size, down in zip(sizes, downs, strict=True):
            sent = out * (size > 0) * copies_a_message(network)
            copies[rows] += sent
            bits[rows] += sent * size
            if facts.server:
                copies[cases.N] += PARTICIPANTS * (down > 0)
                bits[cases.N] += PARTICIPANTS * down
    if exchange in SPARING:
        assert np.all(end.traffic.messages[0] <= copies) and np.all(end.traffic.bits[0] <= bits * (1 + 1e-6))
        assert (end.traffic.bits[0].sum() > 0) == (copies.sum() > 0)
        return
    if "sized" in facts.kinds:  # the method says itself how many bits a message has, and its own tests check it
        assert np.all(end.traffic.messages[0] <= copies) and np.all(end.traffic.bits[0] >= 0)
        assert end.traffic.bits[0].sum() > 0
        return
    np.testing.assert_array_equal(end.traffic.messages[0], copies)
    np.testing.assert_allclose(end.traffic.bits[0], bits, rtol=1e-6 if exchange in SHARES else 0)
    assert (copies.sum() > 0) == (cases.mixes(name) or facts.server)


def test_refused_with_the_missing_need():
    wrong = []
    for name, exchange in REFUSED:
        try:
            cases.build(name, network=cases.network_of_one(exchange), **parts(name, exchange))
        except jdl.checks.InputError as error:
            if re.match(
                r"got \w+ that needs '\w+', which (the network breaks|these parts do not offer); \w+", str(error)
            ):
                continue
            wrong.append(f"{name} in {exchange}: {error}")
        else:
            wrong.append(f"{name} in {exchange}: not refused")
    assert not wrong, "\n".join(wrong)
