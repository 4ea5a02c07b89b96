"""Robust rules against NumPy's brute force, their limits, and messages that are no numbers."""

import functools
import itertools
import os

import exchange_programs as programs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import robust_numpy as by_hand

import jdl
from jdl import exchange, topology, tree
from jdl import plan as plans
from jdl.exchange.robust import fools_gold, mda, pre, sketch
from jdl.types import Slots

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
    (exchange.IOS(f=2), of(by_hand.ios, f=2)),
    (exchange.NearestNeighbourAveraging(f=2), of(by_hand.nearest_average, f=2)),
    (exchange.CentredClipping(tau=2.0), of(by_hand.centred_clipping, tau=2.0, iterations=1, start=lambda x: x[0])),
    (exchange.CentredClipping(2.0, 3), of(by_hand.centred_clipping, tau=2.0, iterations=3, start=lambda x: x[0])),
]
SERVER = [
    (exchange.SignMajority(), by_hand.sign_majority),
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


def one_a_day(turn):
    """The forms of a plan, all but one of them slow: what costs is compiling a program for each."""
    today = (int(os.environ.get("JDL_TEST_SEED", "0")) + turn) % len(PLANS)
    return [pytest.param(form, marks=[] if i == today else [pytest.mark.slow]) for i, form in enumerate(PLANS)]


@pytest.mark.parametrize("form", one_a_day(0))
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


def held(plan, own, sent):
    return [x for x, _ in by_hand.neighbourhoods(plan, own, sent)]


@pytest.mark.slow
def test_limits_in_which_a_rule_is_a_mean_gossip_or_nothing():
    own, sent = messages()
    plan = PLANS["slots"]()
    rows = by_hand.neighbourhoods(plan, own, sent)
    gossip = np.stack([w @ x for x, w in rows])
    means = np.stack([x.mean(axis=0) for x, _ in rows])
    limits = [
        (exchange.ClippedGossip(tau=1e9), gossip),
        (exchange.ClippedGossip(tau=0.0), own),
        (exchange.ClippedGossip(liars=0.0), gossip),
        (exchange.CSPlus(liars=0.0), gossip),
        (exchange.GTS(liars=0.0), gossip),
        (exchange.GeometricMedian(nu=1e9), gossip),
        (exchange.CentredClipping(tau=1e9), means),
        (exchange.MultiKrum(keep=N), means),
        (exchange.TrimmedMean(0), means),
        (exchange.Meamed(0), means),
        (exchange.MDA(0), means),
        (exchange.Bulyan(0), means),
        (exchange.NearestNeighbourMixing(0, exchange.Krum(0)), means),
        (exchange.Bucketing(N, exchange.CoordinateMedian()), means),
    ]
    for (rule, expected), inbox in zip(limits, inboxes([rule for rule, _ in limits], plan, own, sent), strict=True):
        np.testing.assert_allclose(inbox, expected, rtol=2e-5, atol=2e-5, err_msg=f"{rule}")


BAD = np.float32([np.nan, np.inf, -np.inf, 3e38])


@pytest.mark.parametrize("form", one_a_day(1))
def test_a_few_messages_that_are_no_numbers_do_no_harm(form):
    """Of ten messages at most two are bad: the result lies among the honest ones, which are all close to one."""
    own = 1 + np.float32(0.01) * np.random.default_rng(0).standard_normal((10, D)).astype(np.float32)
    rules = [
        exchange.GeometricMedian(),
        exchange.Krum(2),
        exchange.MultiKrum(2),
        exchange.Meamed(2),
        exchange.MDA(2),
        exchange.Bulyan(2),
        exchange.NearestNeighbourMixing(2, exchange.TrimmedMean(2)),
        exchange.NearestNeighbourMixing(2, exchange.GeometricMedian()),
    ]
    rules += [exchange.NormClipping()] if form == "server" else [exchange.ClippedGossip(1.0), exchange.CSPlus()]
    sent = own.copy()
    sent[3], sent[4] = BAD[0], np.resize(BAD[1:], D)
    plan = plans.clients(jnp.arange(10, dtype=jnp.int32)) if form == "server" else topology.complete(10).plan(form)
    for rule, inbox in zip(rules, inboxes(rules, plan, own, sent), strict=True):
        bound = 0.25 if isinstance(rule, exchange.NormClipping) else 0.06
        honest = inbox if form == "server" else np.delete(inbox, (3, 4), axis=0)
        assert np.all(np.abs(honest - 1) < bound), f"{rule}: {honest}"


def test_a_server_clips_around_what_it_aggregated_last():
    _, sent = messages()
    plan = plans.clients(jnp.arange(N, dtype=jnp.int32))
    rule = tree.numbers_to_arrays(exchange.CentredClipping(tau=1.0))
    state, last = rule.init(halves(sent)), np.zeros(D)
    for t in range(3):
        x = (t + 1) * sent
        inbox, state, _ = programs.apply(rule, state, programs.wire(plan, halves(x)), KEY)
        last = by_hand.centred_clipping(x.astype(float), None, 1.0, 1, lambda x, last=last: last)
        np.testing.assert_allclose(whole(inbox), last, rtol=1e-5, atol=1e-6)
    nothing = plans.lose(plan, jnp.zeros(N, bool))
    inbox, kept, _ = programs.apply(rule, state, programs.wire(nothing, halves(x)), KEY)
    assert not whole(inbox).any()
    jax.tree.map(np.testing.assert_array_equal, kept, state)


def test_balance_accepts_less_from_round_to_round():
    own, sent = messages()
    plan = PLANS["slots"]()
    options = {"gamma": 1.5, "kappa": 4.0, "rounds": 6.0, "alpha": 0.3}
    rows = by_hand.neighbourhoods(plan, own, sent)
    wire = programs.wire(plan, halves(own), halves(sent))
    inboxes, accepted = [], []
    for size in (None, 1):
        rule = tree.numbers_to_arrays(exchange.Balance(**options, sketch=size))
        state = rule.init(wire.sent)
        for t in range(3):
            inbox, state, _ = programs.apply(rule, state, wire, KEY)
            inboxes.append(whole(inbox))
            accepted.append(np.sum(np.any(inboxes[-1] != own, axis=1)))
            if size is None:
                expected = np.stack([by_hand.balance(x, w, **options, t=t) for x, w in rows])
                np.testing.assert_allclose(inboxes[-1], expected, rtol=1e-5, atol=1e-5)
    assert accepted[0] > accepted[2] and accepted[3] > 0
    assert not np.allclose(inboxes[0], inboxes[3])


def test_sketches_have_the_right_norms_on_average():
    x = [jnp.asarray(np.random.default_rng(0).standard_normal((2, 103)), jnp.float32), jnp.ones((2, 3))]
    draw = jax.jit(jax.vmap(lambda key: sketch.measured(x, x, 20, key)[0]))
    first, short = draw(jax.random.split(KEY, 2000))
    assert first.shape == (2000, 2, 20) and np.all(short == 1)
    squares = np.square(np.asarray(first)).sum(axis=2) / np.square(np.asarray(x[0])).sum(axis=1)
    assert np.abs(squares.mean(axis=0) - 1).max() < 5 * np.sqrt(2 / 20 / 2000)


def test_fools_gold_trusts_what_differs():
    """Three rounds, in which two clients send nearly the same, and one message is lost."""
    rng = np.random.default_rng(2)
    plan = plans.clients(jnp.arange(5, dtype=jnp.int32))
    rule, sums = exchange.FoolsGold(), np.zeros((5, D))
    state = rule.init(halves(sums.astype(np.float32)))
    for t in range(3):
        x = rng.standard_normal((5, D)).astype(np.float32)
        x[1] = x[0] + 0.01 * x[1]
        there = np.arange(5) != (4 if t == 1 else 9)
        inbox, state, _ = programs.apply(
            rule, state, programs.wire(plans.lose(plan, jnp.asarray(there)), halves(x)), KEY
        )
        sums += np.where(there[:, None], x, 0)
        trust = by_hand.fools_gold_trust(sums)
        assert trust[0] < 0.1 and trust[1] < 0.1
        np.testing.assert_allclose(whole(inbox), (trust * there) @ x / there.sum(), rtol=1e-4, atol=1e-5)
    same = np.asarray(fools_gold.trust(jnp.asarray([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]])))
    assert same.tolist() == [0, 0, 1] and np.all(fools_gold.trust(jnp.ones((3, 3))) == 1)


def test_buckets_are_drawn_anew_by_every_node_and_keep_the_mean():
    """Krum with one bucket chosen of two shows which messages were together: each pair is as likely."""
    own = np.eye(5, D, dtype=np.float32)
    plan = topology.complete(5).plan("slots")
    rule = exchange.Bucketing(3, exchange.MultiKrum(0, keep=2))  # buckets of three and of two
    wire = programs.wire(plan, jnp.asarray(own))
    draw = jax.jit(jax.vmap(lambda key: rule.apply((), wire, key)[0]))
    inbox = np.asarray(draw(jax.random.split(KEY, 400)))[..., :5]
    np.testing.assert_allclose(inbox.sum(axis=2), 1, rtol=1e-5)
    larger = np.isclose(inbox, 1 / 6, atol=1e-3)  # members of the bucket of three
    assert np.all(larger.sum(axis=2) == 3)
    share = larger.mean(axis=0)
    assert np.abs(share - 0.6).max() < 5 * np.sqrt(0.6 * 0.4 / 400)
    assert np.mean(np.all(larger[:, 0] == larger[:, 1], axis=1)) < 0.3  # 0.1 if two nodes draw by themselves


def test_mixtures_of_many_messages_are_those_of_a_few(monkeypatch):
    own, sent = messages()
    sent[2] = np.nan
    plan, rule = PLANS["slots"](), exchange.NearestNeighbourMixing(2, exchange.TrimmedMean(1))
    (at_once,) = inboxes([rule], plan, own, sent)
    monkeypatch.setattr(pre, "WRITTEN_OUT", 0)
    (in_turns,) = inboxes([rule], plan, own, sent)
    np.testing.assert_allclose(in_turns, at_once, rtol=1e-5, atol=1e-6)


def test_what_cannot_be_is_refused():
    own, sent = messages()
    plan = topology.complete(N).plan("slots")
    for rule, words in [
        (exchange.MDA(6), r"got MDA\(f=6\) over 12 messages, which leaves out f in 924 ways"),
        (exchange.Bucketing(2, exchange.ClippedGossip()), "got Bucketing before ClippedGossip, need a rule of which"),
        (exchange.NearestNeighbourMixing(1, exchange.CentredClipping()), "got NearestNeighbourMixing before Centred"),
    ]:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(jdl.checks.InputError, match=words):
            patch.setattr(mda, "SUBSETS", 900)
            wire = programs.wire(plan, jnp.asarray(own), jnp.asarray(sent))
            jax.eval_shape(lambda wire, rule=rule: rule.apply(rule.init(wire.sent), wire, KEY), wire)


@pytest.mark.slow
def test_rules_are_those_of_byzfl():
    """Every node of a complete graph holds what ByzFL is given; its Krum counts one nearest other more than ours."""
    byzfl = pytest.importorskip("byzfl")
    own = np.random.default_rng(5).standard_normal((11, D)).astype(np.float32)
    rows = own.astype(float)
    pairs = [
        (exchange.TrimmedMean(3), byzfl.TrMean(3)),
        (exchange.CoordinateMedian(), byzfl.Median()),
        (exchange.Meamed(3), byzfl.Meamed(3)),
        (exchange.MDA(3), byzfl.MDA(3)),
        (exchange.Krum(2), byzfl.Krum(3)),
        (exchange.MultiKrum(2, keep=8), byzfl.MultiKrum(3)),
        (exchange.GeometricMedian(iterations=200, nu=0.1), byzfl.GeometricMedian(nu=0.1, T=200)),
        (
            exchange.NearestNeighbourMixing(3, exchange.TrimmedMean(3)),
            lambda x: byzfl.TrMean(3)(byzfl.NNM(3)(x)),
        ),
    ]
    plan = topology.complete(11).plan("slots")
    for (rule, reference), inbox in zip(pairs, inboxes([rule for rule, _ in pairs], plan, own, own), strict=True):
        np.testing.assert_allclose(inbox[0], reference(rows), rtol=2e-5, atol=2e-5, err_msg=f"{rule}")
    server = plans.clients(jnp.arange(11, dtype=jnp.int32))
    (inbox,) = inboxes([exchange.NearestNeighbourAveraging(3)], plan, own, own)
    np.testing.assert_allclose(inbox[4], byzfl.MoNNA(3, idx=4)(rows), rtol=2e-5, atol=2e-5)
    (inbox,) = inboxes([exchange.CentredClipping(2.0, 3)], server, own, own)
    np.testing.assert_allclose(inbox, byzfl.CenteredClipping(L=3, tau=2.0)(rows), rtol=2e-5, atol=2e-5)


def of_both_kinds():
    """Every rule with its defaults, and a plan that serves it."""
    for name in exchange.robust.__all__:
        rule = tree.numbers_to_arrays(getattr(exchange, name)())
        yield rule, plans.clients(jnp.arange(N, dtype=jnp.int32)) if "server" in rule.needs else graph().plan("slots")


def test_types_of_messages_stay_in_double_precision_too(x64):
    """Only traced. Messages may be narrower than what a node keeps, as after `HalfPrecision`."""
    for (rule, plan), dtype in itertools.product(of_both_kinds(), ["float32", "float64"]):
        own = {"a": jnp.ones((N, 3), dtype), "b": jnp.ones((N, 2, 2), "float32")}
        sent = {"a": own["a"], "b": own["b"].astype("bfloat16")}
        given = programs.wire(plan, own, sent, roles=jdl.roles.everybody_honest(N))
        state = rule.init(own)
        inbox, after, _ = jax.eval_shape(lambda *x, rule=rule: rule.apply(*x, KEY), state, given)
        rows = own if isinstance(plan.links, Slots) else jax.tree.map(lambda x: x[0], own)
        shapes = lambda x: jax.tree.map(lambda x: (x.shape, x.dtype), x)
        assert shapes(inbox) == shapes(rows) and shapes(after) == shapes(state), f"{rule}"


def test_a_sweep_over_a_threshold_is_a_vmap():
    own, sent = messages()
    wire = programs.wire(PLANS["slots"](), jnp.asarray(own), jnp.asarray(sent))
    taus = jnp.asarray([0.5, 2.0])
    sweep = jax.jit(jax.vmap(lambda tau: exchange.ClippedGossip(tau).apply((), wire, KEY)[0]))(taus)
    rows = by_hand.neighbourhoods(wire.plan, own, sent)
    for inbox, tau in zip(sweep, (0.5, 2.0), strict=True):
        expected = np.stack([by_hand.clipped_gossip(x, w, tau) for x, w in rows])
        np.testing.assert_allclose(inbox, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", exchange.robust.__all__)
def test_memory_is_bounded_by_four_times_the_messages(name):
    """Of 200 nodes that hear 16 others; no array of [n, k, d] is made, which would be 16 times the messages."""
    n, d = 200, 5000
    rule = tree.numbers_to_arrays(getattr(exchange, name)())
    server = "server" in rule.needs
    plan = (
        plans.clients(jnp.arange(n, dtype=jnp.int32))
        if server
        else topology.random_regular(n, 16, seed=0).plan("slots")
    )
    x = jax.ShapeDtypeStruct((n, d), jnp.float32)
    given = programs.wire(plan, x, roles=jdl.roles.everybody_honest(n))
    state = jax.eval_shape(rule.init, x)
    compiled = jax.jit(lambda *x: rule.apply(*x, KEY)[:2]).lower(state, given).compile()
    assert compiled.memory_analysis().temp_size_in_bytes <= 4 * 4 * n * d
