"""Robust rules against NumPy's brute force, their limits, and messages that are no numbers."""

import functools

import exchange_programs as programs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import robust_numpy as by_hand

import jdl
from jdl import exchange, topology, tree
from jdl import plan as plans

KEY = jax.random.key(0)
N, D = 12, 7

# Each rule with its reference, a function of what one node holds and of its weights.
EITHER = [
    (exchange.GeometricMedian(iterations=5, nu=0.1), functools.partial(by_hand.geometric_median, iterations=5, nu=0.1)),
    (exchange.Krum(f=1), functools.partial(by_hand.krum, f=1)),
    (exchange.MultiKrum(f=1), functools.partial(by_hand.multi_krum, f=1)),
    (exchange.MultiKrum(f=2, keep=2), functools.partial(by_hand.multi_krum, f=2, keep=2)),
]
PEERS = []
SERVER = []


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
