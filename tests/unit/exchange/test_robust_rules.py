"""Robust rules against NumPy's brute force, their limits, and messages that are no numbers."""

import functools

import exchange_programs as programs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import robust_numpy as by_hand

from jdl import exchange, topology, tree
from jdl import plan as plans

KEY = jax.random.key(0)
N, D = 12, 7


def of(reference, **options):
    return functools.partial(reference, **options)


# Each rule with its reference, a function of what one node holds and of its weights.
EITHER = [
    (exchange.TrimmedMean(1), of(by_hand.trimmed, trim=1)),
    (exchange.GeometricMedian(iterations=5, nu=0.1), of(by_hand.geometric_median, iterations=5, nu=0.1)),
    (exchange.Krum(f=1), of(by_hand.krum, f=1)),
    (exchange.MultiKrum(f=1), of(by_hand.multi_krum, f=1)),
    (exchange.MultiKrum(f=2, keep=2), of(by_hand.multi_krum, f=2, keep=2)),
    (exchange.Meamed(f=2), of(by_hand.meamed, f=2)),
    (exchange.MDA(f=2), of(by_hand.mda, f=2)),
    (exchange.Bulyan(f=1), of(by_hand.bulyan, f=1)),
    (
        exchange.NearestNeighbourMixing(f=2, rule=exchange.TrimmedMean(1)),
        of(by_hand.nearest_neighbour_mixing, f=2, rule=of(by_hand.trimmed, trim=1)),
    ),
    (
        exchange.NearestNeighbourMixing(f=1, rule=exchange.MultiKrum(f=1)),
        of(by_hand.nearest_neighbour_mixing, f=1, rule=of(by_hand.multi_krum, f=1)),
    ),
]
PEERS = [
    (exchange.ClippedGossip(tau=1.0), of(by_hand.clipped_gossip, tau=1.0)),
    (exchange.ClippedGossip(liars=0.15), of(by_hand.clipped_gossip_he, liars=0.15)),
    (exchange.CSPlus(liars=0.15), of(by_hand.cs_plus, liars=0.15)),
    (exchange.GTS(liars=0.15), of(by_hand.gts, liars=0.15)),
    (exchange.CentredClipping(tau=2.0), of(by_hand.centred_clipping, tau=2.0, iterations=1, start=lambda x: x[0])),
    (exchange.CentredClipping(2.0, 3), of(by_hand.centred_clipping, tau=2.0, iterations=3, start=lambda x: x[0])),
]
SERVER = [
    (exchange.NormClipping(), by_hand.norm_clipping),
    (exchange.NormClipping(1.5), of(by_hand.norm_clipping, limit=1.5)),
    (exchange.CentredClipping(2.0, 3), of(by_hand.centred_clipping, tau=2.0, iterations=3, start=lambda x: 0)),
]


def messages(rows=N, seed=0):
    rng = np.random.default_rng(seed)
    own = rng.standard_normal((rows, D)).astype(np.float32)
    sent = own + np.float32(0.3) * rng.standard_normal((rows, D)).astype(np.float32)
    sent[1] = 50 * sent[1]
    return own, sent


def halves(x):
    """One vector as a message of two arrays, of which norms are taken together."""
    return {"a": jnp.asarray(x[:, :3]), "b": jnp.asarray(x[:, 3:]).reshape(len(x), 2, 2)}


def whole(message):
    leaves = [np.asarray(leaf) for leaf in (message["a"], message["b"])]
    return np.concatenate([leaves[0], leaves[1].reshape(*leaves[0].shape[:-1], 4)], axis=-1)


def inboxes(rules, plan, own, sent):
    """What each rule gives, all in one program, compiled fast."""
    wire = programs.wire(plan, halves(own), halves(sent))
    rules = [tree.numbers_to_arrays(rule) for rule in rules]

    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def program(rules, wire):
        return [rule.apply(rule.init(wire.sent), wire, KEY)[0] for rule in rules]

    return [whole(inbox) for inbox in program(rules, wire)]


def losing(plan, seed=1):
    """The plan without a third of its messages."""
    shape = plan.links.weights.shape
    return plans.lose(plan, jnp.asarray(np.random.default_rng(seed).random(shape) < 0.7))


def graph():
    return topology.erdos_renyi(N, degree=5, seed=3)


PLANS = {
    "slots": lambda: losing(graph().plan("slots")),
    "dense": lambda: losing(graph().plan("dense")),
    "server": lambda: losing(plans.clients(jnp.arange(N, dtype=jnp.int32))),
}


@pytest.mark.parametrize("form", PLANS)
def test_rules_are_what_brute_force_gives(form):
    """On a graph whose degrees vary, of which messages are lost; in one pass over all pairs, and row by row."""
    own, sent = messages()
    plan = PLANS[form]()
    cases = EITHER + (SERVER if form == "server" else PEERS)
    rows = by_hand.neighbourhoods(plan, own, sent)
    assert len({len(x) for x, _ in rows}) > 3 or form == "server"
    for (rule, reference), inbox in zip(cases, inboxes([rule for rule, _ in cases], plan, own, sent), strict=True):
        expected = np.stack([reference(x, w) for x, w in rows])
        inbox = inbox[None] if form == "server" else inbox
        np.testing.assert_allclose(inbox, expected, rtol=2e-5, atol=2e-5, err_msg=f"{rule}")
