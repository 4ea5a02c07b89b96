"""Laws over classes of methods in every exchange: finite, counted by formula, resumable; or refused."""

import re

import cases
import classes
import facts
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import plan as plans
from jdl.exchange.stack import layers
from jdl.types import Each, PerLink, Sized

ROUNDS, PARTICIPANTS = 5, 6
# Pairs drawn beside those of each kind of message and each exchange.
MORE = 2
SIZED_BY_CONTENT, ON_EACH, SPARING = facts.SIZED_BY_CONTENT, facts.ON_EACH, facts.SPARING


def parts(name, exchange):
    """The schedule, the noisy data and the liars under which an algorithm is tried."""
    talk = jdl.schedule.Sampling(cases.N, PARTICIPANTS) if cases.has_server(name) else None
    return {"talk": talk, "data": cases.problem(noise=0.3), "roles": cases.roles_in(exchange)}


ALLOWED = [pair for pair in facts.PAIRS if pair not in facts.REFUSED]


def undrawn() -> set[str]:
    """Exchanges that meet methods in the slow suite: of those that are alike all but one, and half of the others."""
    alike = [sorted(group) for group in facts.ALIKE]
    others = [name for name in cases.EXCHANGES if not any(name in group for group in alike)]
    late = {name for group in alike for i, name in enumerate(group) if i != classes.SEED % len(group)}
    return late | {name for i, name in enumerate(others) if (i + classes.SEED) % 2}


LATE = undrawn()


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
    return once_a_message(message, network[0]) + sum(
        8.0 * width * np.prod(leaf.shape[each:]) + beside for leaf in jax.tree.leaves(message)
    )


def once_a_message(message, exchange) -> float:
    """Bits that an exchange adds to a message: what is clipped; keys and shares; a model of another node."""
    parts = jax.tree.leaves(message, is_leaf=lambda part: isinstance(part, Each))
    if isinstance(exchange, jdl.exchange.SybilWall):
        return sum(32.0 * np.prod(part.shape) for part in parts if not isinstance(part, Each)) + 96.0 * bool(parts)
    if isinstance(exchange, jdl.exchange.QuantileClipping):
        return float(bool(parts))
    hidden = isinstance(exchange, jdl.exchange.SecureAggregation) and not all(isinstance(part, Each) for part in parts)
    return 256.0 * (2 + 3 * (PARTICIPANTS - 1)) * hidden


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
    if exchange in LATE or not any(other == exchange for _, other in ALLOWED):
        return frozenset()
    alike = [other for other in cases.EXCHANGES if other not in LATE and remembers(other) == remembers(exchange)]
    if exchange == alike[classes.SEED % len(alike)]:
        return classes.representatives(classes.of_messages)
    rows = {classes.of_rows(classes.facts(name)): name for name in classes.representatives(classes.of_rows)}
    allowed = [name for _, name in sorted(rows.items()) if (name, exchange) in ALLOWED]
    allowed = allowed or [name for name, other in ALLOWED if other == exchange]
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
    # What a server leaves out, since clients have it, is a part of a stated size, which is zero in these methods.
    parts_of = lambda down: jax.tree.leaves(down, is_leaf=lambda part: isinstance(part, Sized))
    sizes_of = lambda down: [32.0 * part.size for part in parts_of(down) if not isinstance(part, Sized)]
    downs = [sum(sizes_of(down)) for down in facts.downs] or [0.0] * facts.exchanges
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
    if exchange in SPARING:  # their own tests say how much they leave out
        assert np.all(end.traffic.messages[0] <= copies) and np.all(end.traffic.bits[0] <= bits * (1 + 1e-6))
        assert (end.traffic.bits[0].sum() > 0) == (copies.sum() > 0)
        return
    if "sized" in facts.kinds:  # the method says itself how many bits a message has, and its own tests check it
        most = copies * (2 if exchange == "duplicated" else 1)  # some messages travel twice
        of_nodes = slice(cases.N)  # a server may state the size of all it sends (FedPD)
        assert np.all(end.traffic.messages[0][of_nodes] <= most[of_nodes]) and np.all(end.traffic.bits[0] >= 0)
        assert end.traffic.bits[0].sum() > 0
        return
    counted = [np.asarray(total[0]) for total in (end.traffic.messages, end.traffic.bits)]
    if exchange in ON_EACH:  # copies of one lie are counted for one of the liars that send it
        liars = np.append(~np.asarray(built.roles.honest), np.zeros(len(copies) - cases.N, bool))
        copies, bits, *counted = (np.append(x[~liars], x[liars].sum()) for x in (copies, bits, *counted))
    if exchange == "duplicated":
        factor = counted[0][copies > 0] / copies[copies > 0]
        np.testing.assert_allclose(counted[1][copies > 0], bits[copies > 0] * factor, rtol=1e-6)
        assert np.all((factor >= 1) & (factor <= 2))
        return
    np.testing.assert_array_equal(counted[0], copies)
    if exchange in SIZED_BY_CONTENT:  # a codec's own tests check it
        assert np.all((counted[1] > 0) == (bits > 0))
        return
    # Shares of a message are rounded.
    np.testing.assert_allclose(counted[1], bits, rtol=1e-6 if exchange == "slice_loss" else 0)
    assert (copies.sum() > 0) == (cases.mixes(name) or facts.server)


SENTENCE = r"got \w+ that needs '(\w+)', which (?:the network breaks|these parts do not offer); \w+"


def test_refused_with_the_missing_need():
    wrong = []
    for name, exchange in facts.REFUSED[classes.SEED % 16 :: 16]:  # all of them are tried by test_laws_composition.py
        try:
            cases.build(name, network=cases.network_of_one(exchange), **parts(name, exchange))
        except jdl.checks.InputError as error:
            if (found := re.match(SENTENCE, str(error))) and found[1] in facts.words(name, exchange):
                continue
            wrong.append(f"{name} in {exchange}: {error}")
        else:
            wrong.append(f"{name} in {exchange}: not refused")
    assert not wrong, "\n".join(wrong)
