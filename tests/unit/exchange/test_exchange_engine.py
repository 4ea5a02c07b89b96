"""The mixing engine against W on graphs drawn at random, hostile ones: irregular, tiny, empty, with hubs, with lies."""

import functools
import itertools
import math
import os

import exchange_programs as programs
import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import plan_reading
import pytest
from scipy.sparse import csr_array

import jdl
from jdl import exchange, schedule, topology, tree
from jdl import plan as plans
from jdl.checks import InputError
from jdl.command.catalogue import members
from jdl.compressors import TopK
from jdl.exchange import mixing
from jdl.exchange.stack import needs_of
from jdl.schedule.handoff import handoff
from jdl.topology import Topology, forms, from_graph, to_dense
from jdl.topology.topology import circulant, grouped
from jdl.types import Edges, Groups, Plan, Server

FORMS = ("dense", "slots", "edges", "hubs", "levels")
KINDS = ("doubly", "row", "column")
KEY = jax.random.key(3)
ROLES = jdl.roles.draw(9, dishonest=0.25)
SLOW = pytest.mark.slow


def drawn(rng, n, kind, share):
    """Weights of both signs on about that share of all links; of `kind`, where "doubly" is a symmetric W."""
    off = rng.uniform(-0.4, 1, (n, n)) * (rng.random((n, n)) < share) * (1 - np.eye(n))
    off = np.triu(off, 1) + np.triu(off, 1).T if kind == "doubly" else off
    return off + np.diag(1 - off.sum(axis=0 if kind == "column" else 1))


def plan_of(W, kind, form):
    """A plan in one of the forms; "levels": hubs with so few links in one place that their sums have many levels."""
    graph = Topology("drawn", csr_array(W), kind, symmetric=kind == "doubly")
    if form != "levels":
        return graph.plan(form)
    return graph.plan("slots").replace(links=forms.as_hubs(graph.weights, width=1, hub_width=2))


def product(W, own, sent):
    """W_ii own_i + sum_j W_ij sent_j in float64."""
    flat = (len(W), math.prod(own.shape[1:]))
    mine, theirs = (np.asarray(x, np.float64).reshape(flat) for x in (own, sent))
    diagonal = np.diag(np.diag(W))
    return (diagonal @ mine + (W - diagonal) @ theirs).reshape(own.shape)


def message(rng, n, dtype=jnp.float32):
    return {"x": jnp.asarray(rng.standard_normal((n, 2, 2)), dtype)}


def leaves(rng, n):
    """A scalar for each node, a matrix, leaves that are empty."""
    draw = lambda *shape: jnp.asarray(rng.standard_normal((n, *shape)), jnp.float32)
    return {"w": draw(), "x": draw(2, 2), "nothing": draw(0), "none": draw(0, 2)}


def wire(plan, own, sent=None):
    return programs.wire(plan, own, sent, float(tree.bits(own)), ROLES)


# Programs are many and run for a moment: optimising them would cost more than it gains.
compiled = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
mix = compiled(mixing.mix)
to_dense_of = compiled(to_dense)
plan_at = compiled(lambda talk, t: talk((), t, KEY)[0])
settled = compiled(lambda plan, keep: plans.settled(plans.lose(plan, keep)))


@functools.partial(compiled, static_argnames="lied")
def seen(plan, own, sent, lies, lied):
    mixed = [mixing.mix(plan, own, sent)]
    if isinstance(plan.links, Groups):  # they tell `own` itself from a copy of it
        mixed.append(mixing.mix(plan, own, own))
    hit = jax.vmap(lambda x: jnp.any(~jnp.isfinite(mixing.mix(plan, x, x)), axis=1))(lies) if lied else None
    return mixed, to_dense(plan), plans.degree(plan), plans.out_degree(plan), hit


def check(plan, W, own, sent, atol, lies=None):
    """Everything that is to be known of a plan is that of W; returns the degrees, which count links, and who is hit."""
    answers, matrix, into, out, hit = seen(plan, own, sent, lies, lies is not None)
    for mixed, given in zip(answers, (sent, own), strict=False):
        for key, leaf in own.items():
            assert (mixed[key].shape, mixed[key].dtype) == (leaf.shape, leaf.dtype)
            expected = product(W, leaf, given[key])
            np.testing.assert_allclose(np.asarray(mixed[key], np.float64), expected, rtol=0, atol=atol)
    np.testing.assert_allclose(matrix, W, rtol=0, atol=1e-5)
    return into, out, hit


def check_degrees(degrees, W):
    linked = (W != 0) & ~np.eye(len(W), dtype=bool)
    np.testing.assert_array_equal(degrees[0], linked.sum(axis=1))
    np.testing.assert_array_equal(degrees[1], linked.sum(axis=0))


def some(*pairs):
    """These pairs of a kind and a form by default, all others with the slow checks."""
    every = itertools.product(KINDS, FORMS)
    return pytest.mark.parametrize(
        ("kind", "form"), [pytest.param(*pair, marks=[] if pair in pairs else [SLOW]) for pair in every]
    )


ROWS = [("row", form) for form in FORMS][int(os.environ["JDL_TEST_SEED"]) % 2 :: 2]


@some(*ROWS, ("column", "slots"), ("column", "levels"), ("doubly", "dense"), ("doubly", "hubs"))
def test_random_weights_in_every_form_and_a_node_that_is_no_number_reaches_its_hearers_alone(kind, form):
    """But in a dense product, which spreads it to all."""
    rng = np.random.default_rng([KINDS.index(kind), 7])
    W = drawn(rng, 9, kind, 0.3)
    lies = np.tile(rng.standard_normal((9, 2)).astype(np.float32), (27, 1, 1))
    for turn, (liar, value) in enumerate(itertools.product(range(9), (np.nan, np.inf, -np.inf))):
        lies[turn, liar] = value
    plan = plan_of(W, kind, form)
    found = check(plan, W, message(rng, 9), message(rng, 9), 1e-5, lies)
    check_degrees(found, W)
    for turn, hit in enumerate(found[2]):
        np.testing.assert_array_equal(hit, True if form == "dense" else W[:, turn // 3] != 0)
    assert all(jax.eval_shape(mixing.mix, plan, nothing, nothing) == nothing for nothing in ({}, ()))


SMALL = [(2, 1), (3, 0.5), (9, 0)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("kind", "cases"),
    [
        ("row", [(1, 0), (3, 0.5)]),
        *(pytest.param(kind, SMALL, marks=pytest.mark.slow) for kind in KINDS),
    ],
)
def test_small_and_empty_graphs_in_every_form(kind, cases, form):
    rng = np.random.default_rng([KINDS.index(kind), 8])
    for n, share in cases:
        W = drawn(rng, n, kind, share)
        make = leaves if (n, kind) == (3, "row") else message
        check_degrees(check(plan_of(W, kind, form), W, make(rng, n), make(rng, n), 1e-5), W)


# Of the message and of what is sent; and how many digits of the sum are right.
WIDTHS = {
    "row": (jnp.float64, jnp.float64, 1e-13),
    "column": (jnp.float64, jnp.bfloat16, 1e-13),
    "doubly": (jnp.bfloat16, jnp.bfloat16, 0.1),
}


@some(*ROWS, ("column", "dense"), ("column", "slots"), ("doubly", "slots"), ("doubly", "hubs"))
def test_wide_and_narrow_numbers(x64, kind, form):
    """Sums are in the type of the message, whatever that of the weights: float64 to its last digits."""
    rng = np.random.default_rng(4)
    W = drawn(rng, 9, kind, 0.4)
    own, sent, digits = WIDTHS[kind]
    own, sent = message(rng, 9, own), message(rng, 9, sent)
    mixed = mix(plan_of(W, kind, form), own, sent)["x"]
    assert mixed.dtype == own["x"].dtype
    np.testing.assert_allclose(np.asarray(mixed, np.float64), product(W, own["x"], sent["x"]), rtol=0, atol=digits)


@pytest.mark.parametrize("sizes", [[3, 1, 2], [130, 2, 2], *(pytest.param(s, marks=SLOW) for s in ([1], [40, 3]))])
def test_groups_of_unequal_sizes(sizes):
    """Up to eight a group one by one, beyond in a loop, few large ones in teams: all are the mean of the group."""
    rng = np.random.default_rng(len(sizes))
    groups = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    made, own, sent = grouped("groups", groups), message(rng, len(groups)), message(rng, len(groups))
    plan, W = made.plan("groups"), made.weights.toarray()
    named = compiled(plans.one_by_one)(plan)
    for each in (plan, named)[: 2 if len(groups) < 100 else 1]:
        check_degrees(check(each, W, own, sent, 1e-5), W)
    np.testing.assert_array_equal(named.links.used, np.asarray(named.links.weights) != 0)
    # Places that are not used: of slots they point home, of groups they repeat the first member.
    rows, first = np.arange(len(groups))[:, None], plan.links.members[:, :1]
    for places, used, home in (
        (named.links.senders, named.links.used, rows),
        (plan.links.members, plan.links.used, first),
    ):
        np.testing.assert_array_equal(np.where(used, home, places), np.broadcast_to(home, places.shape))


@pytest.mark.parametrize("others", [[100, 100, 100], [180, 100, 20], pytest.param([300], marks=SLOW)])
def test_a_cycle_of_groups_of_other_sizes(others):
    """As groups where all phases have as many of the same size, and the same W where they have not."""
    phases = [grouped("groups", np.repeat(np.arange(len(sizes)), sizes)) for sizes in ([100, 100, 100], others)]
    talk = schedule.Cyclic.of(phases)
    assert isinstance(talk.plans.links, Groups) == (others == [100, 100, 100])
    for t, phase in enumerate(phases):
        np.testing.assert_allclose(to_dense_of(plan_at(talk, t)), phase.weights.toarray(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("sizes", [[2, 3, 2, 1], [130, 3, 1]])
def test_a_node_that_is_no_number_reaches_its_group_alone(sizes):
    """Also where teams are padded with row 0, and groups with their first member."""
    groups = np.random.default_rng(1).permutation(np.repeat(np.arange(len(sizes)), sizes))
    x = np.random.default_rng(0).standard_normal((len(groups), 2)).astype(np.float32)
    plan = grouped("groups", groups).plan("groups")
    for liar in (0, 1, 4, len(groups) - 1):
        lies = x.copy()
        lies[liar] = np.nan
        hit = np.isnan(np.asarray(mix(plan, jnp.asarray(lies), jnp.asarray(lies)))).all(axis=1)
        np.testing.assert_array_equal(hit, groups == groups[liar])


def edges_of(rng, n, count, hub):
    """A list of links that comes out of a round: in no order, several alike, most of them into one node."""
    receivers = np.where(rng.random(count) < 0.7, hub, rng.integers(0, n, count))
    senders = (receivers + rng.integers(1, n, count)) % n
    used = rng.random(count) < 0.9
    weights = np.where(used, rng.uniform(-0.3, 0.5, count), 0)
    W = np.zeros((n, n))
    np.add.at(W, (receivers, senders), weights)
    W += np.diag(1 - W.sum(axis=1))
    links = Edges(
        weights=jnp.asarray(weights, jnp.float32),
        used=jnp.asarray(used),
        senders=jnp.asarray(senders, jnp.int32),
        receivers=jnp.asarray(receivers, jnp.int32),
    )
    return Plan(links, jnp.asarray(np.diag(W), jnp.float32), stochastic="row"), W


@pytest.mark.parametrize(
    ("n", "count"), [(2, 0), (12, 200), *(pytest.param(*c, marks=SLOW) for c in ((2, 9), (40, 41)))]
)
def test_more_links_into_a_node_than_there_are_slots(n, count):
    """Four times the mean have slots of their own, the others are added one by one: hubs at the ends and inside."""
    rng = np.random.default_rng([n, count])
    for hub in (0, n // 2, n - 1):
        plan, W = edges_of(rng, n, count, hub)
        own, sent = message(rng, n), message(rng, n)
        into, out, _ = check(plan, W, own, sent, 1e-4)
        ends = (np.asarray(end)[np.asarray(plan.links.used)] for end in (plan.links.receivers, plan.links.senders))
        for counted, end in zip((into, out), ends, strict=True):
            np.testing.assert_array_equal(counted, np.bincount(end, minlength=n))


@SLOW
def test_every_link_of_a_list_into_one_node():
    rng = np.random.default_rng(0)
    n = 30
    plan, W = edges_of(rng, n, 400, 3)
    links = plan.links.replace(receivers=jnp.full(400, 3, jnp.int32), senders=jnp.asarray(rng.integers(4, n, 400)))
    links = links.replace(senders=links.senders.astype(jnp.int32))
    own = jnp.asarray(rng.standard_normal((n, 3)), jnp.float32)
    weights = np.asarray(links.weights, np.float64)
    W = np.eye(n)
    np.add.at(W, (np.full(400, 3), np.asarray(links.senders)), weights)
    W[3, 3] = 1 - (W[3].sum() - 1)
    plan = plan.replace(links=links, self_weights=jnp.asarray(np.diag(W), jnp.float32))
    many = compiled(jax.vmap(lambda scale: mixing.mix(plan, scale * own, scale * own)))(jnp.arange(3.0))
    np.testing.assert_allclose(many[1], W @ np.asarray(own, np.float64), rtol=0, atol=1e-4)
    np.testing.assert_allclose(many[2], 2 * (W @ np.asarray(own, np.float64)), rtol=0, atol=3e-4)


@pytest.mark.parametrize("form", ["slots", "dense", "edges", "hubs"])
@pytest.mark.parametrize("kind", ["row", *(pytest.param(kind, marks=SLOW) for kind in ("doubly", "column"))])
def test_more_slots_than_are_unrolled(kind, form):
    n, rng = 70, np.random.default_rng(1)
    W = drawn(rng, n, kind, 1.0) / 8 + 7 / 8 * np.eye(n)
    own, sent = (jnp.asarray(rng.standard_normal((n, 2)), jnp.float32) for _ in range(2))
    mixed = mix(plan_of(W, kind, form), own, sent)
    np.testing.assert_allclose(mixed, product(W, own, sent), rtol=0, atol=1e-4)


def test_rolls_of_many_shifts():
    """Up to two as rolls, further ones as gathers, beyond 64 in a loop; negative, and beyond n, count modulo n."""
    rng = np.random.default_rng(2)
    for n, shifts in ((7, (9, -1)), (7, (1, -2, 3, 11)), (71, tuple(range(1, 70)))):
        made, own = circulant("shifts", n, shifts), message(rng, n)
        W = made.weights.toarray()
        check_degrees(check(made.plan("circulant"), W, own, message(rng, n), 1e-5), W)


def test_each_shift_has_its_own_weight():
    turn = np.roll(np.eye(7), 1, axis=1)
    W = 0.5 * np.eye(7) + 0.2 * turn + 0.3 * np.linalg.matrix_power(turn, 3)
    for shifts in ((1, 3), (3, 1), (-4, 8)):
        plan = Topology("two speeds", csr_array(W), shifts=shifts).plan("circulant")
        np.testing.assert_allclose(to_dense_of(plan), W, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_directed_plan_that_loses_a_link_says_what_is_left(kind):
    directed = topology.exponential(8).plan("slots").replace(stochastic=kind)
    lost = settled(directed, np.arange(24).reshape(8, 3) != 5)
    assert lost.stochastic == ("row" if kind == "doubly" else kind)
    sums = plan_reading.matrix(lost).sum(axis=0 if kind == "column" else 1)
    np.testing.assert_allclose(sums, 1, rtol=0, atol=1e-6)
    ring = jax.eval_shape(settled, topology.ring(8).plan("slots"), np.zeros((8, 2), bool))
    assert (ring.stochastic, ring.symmetric) == ("doubly", True)


@pytest.mark.parametrize("shifts", [pytest.param((2,), marks=SLOW), (1, -2, 3)])
def test_rolls_where_rolls_are_cheap(shifts, monkeypatch):
    """Other devices roll where a CPU gathers: the same sums, whichever is taken."""
    made, own = circulant("shifts", 7, shifts), jnp.asarray(np.random.default_rng(0).standard_normal((7, 2)))
    for device in ("cpu", "gpu"):
        monkeypatch.setattr(jax, "default_backend", lambda device=device: device)
        mixed = compiled(lambda x: mixing.mix(made.plan("circulant"), x, 2 * x))(own)  # anew for each device
        np.testing.assert_allclose(mixed, product(made.weights.toarray(), own, 2 * own), rtol=0, atol=1e-5)


def test_weights_of_a_column_are_not_centred():
    """Rows of a column-stochastic W sum to anything: a constant message shows it."""
    W = drawn(np.random.default_rng(8), 6, "column", 0.6)
    ones = np.ones((6, 1), np.float32)
    for form in ("dense", "slots", "edges"):
        mixed = np.asarray(mix(plan_of(W, "column", form), ones, ones))[:, 0]
        np.testing.assert_allclose(mixed, W.sum(axis=1), rtol=0, atol=1e-5)
    assert np.abs(W.sum(axis=1) - 1).max() > 0.1


# ---- every exchange over every form -------------------------------------------------------------------------------

GRAPH = from_graph(nx.barbell_graph(4, 1))
PLANS = {form: GRAPH.plan(form) for form in ("dense", "slots", "edges", "hubs")}
PLANS["circulant"] = topology.ring(9).plan("circulant")
PLANS["groups"] = grouped("groups", np.array([0, 2, 0, 1, 1, 2, 0, 1, 3])).plan("groups")
# Codecs around a codec are to the engine what the codec is.
AROUND = {"codec_chain", "error_feedback", "flattened", "in_transform", "normalised", "rotated"}
EXCHANGES = [
    name
    for name, make in sorted(members("exchanges").items())
    if "server" not in getattr(make(), "needs", ()) and name not in AROUND
]


# Each exchange in one form beside the dense one, each form with two or three; a third of them a day, and all pairs with
# the slow checks.
OTHERS = [form for form in PLANS if form != "dense"]
QUICK = [(name, OTHERS[2 * i % len(OTHERS)]) for i, name in enumerate(EXCHANGES)]
# Rules in place of the mean look all alike to the engine: two of them.
TODAY = int(os.environ["JDL_TEST_SEED"])
RULES = [pair for pair in QUICK if hasattr(exchange.robust, type(members("exchanges")[pair[0]]()).__name__)]
QUICK = [pair for pair in QUICK if pair not in RULES][TODAY % 3 :: 3]
QUICK += [RULES[(TODAY + i) % len(RULES)] for i in (0, 7)]
QUICK += [("lossy", "edges")]


def loss_of(models):
    """What rules that ask data are told."""
    return jnp.sum(jnp.square(models[0]).reshape(len(models[0]), -1), axis=1)


def by_node(x):
    """Traffic of nodes as it is, and of other rows in all."""
    return x if x.shape == (9,) else x.sum()


@pytest.mark.parametrize(
    ("name", "form"),
    [pytest.param(name, form, marks=[] if (name, form) in QUICK else [SLOW]) for name in EXCHANGES for form in PLANS],
)
def test_every_exchange_over_every_form_is_right_or_refused(name, form):
    """What a form cannot serve is refused with a sentence; what it can, it serves as the slots of the same W do."""
    network, plan = members("exchanges")[name](), PLANS[form]
    data = jdl.problems.quadratic(nodes=9, dim=2, noise=0.0)

    def built(plan):
        talk = schedule.Fixed(plan)
        return jdl.simulation(data, jdl.algorithms.DPSGD(lr=0.1), talk, [network], roles=ROLES, mapping="vmap")

    if "server" in needs_of(jdl.exchange.stack([network])):
        with pytest.raises(InputError, match=r"needs 'server', which these parts do not offer; give jdl.schedule.Samp"):
            built(plan)
        return
    if "one_by_one" in needs_of(jdl.exchange.stack([network])) and isinstance(plan.links, Edges):
        with pytest.raises(InputError, match=r"needs 'one_by_one', which these parts do not offer; give a graph in sl"):
            built(plan)
        return
    built(plan)
    W, own = plan_reading.matrix(plan), message(np.random.default_rng(0), 9)["x"]
    network, dense = tree.numbers_to_arrays(exchange.stack([network])), plan_of(W, "doubly", "dense")
    links = [programs.begun(network, own)] * 2
    for key in jax.random.split(KEY, 2):
        (inbox, link, traffic), (expected, reference, counted) = (
            programs.apply(network, link, wire(one, own).replace(losses=loss_of), key)
            for link, one in zip(links, (plan, dense), strict=True)
        )
        close = functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-5)
        jax.tree.map(close, (inbox, link), (expected, reference))
        # An exchange with a message for each link counts it by its rows, of which forms have different numbers.
        jax.tree.map(lambda x, y: np.testing.assert_array_equal(by_node(x), by_node(y)), traffic, counted)
        links, own = [link, reference], expected


@pytest.mark.parametrize("name", [name for name in EXCHANGES if "inner" in members("exchanges")[name]().__dict__])
def test_wrappers_hand_on_every_leaf(name):
    rng = np.random.default_rng(1)
    own, network = leaves(rng, 9), tree.numbers_to_arrays(exchange.stack([members("exchanges")[name]()]))
    memory, server = jax.eval_shape(network.init, own), "server" in needs_of(network)
    plan = plans.clients(jnp.arange(9, dtype=jnp.int32)) if server else PLANS["dense"]
    inbox, link, traffic = jax.eval_shape(programs.round_of, network, memory, wire(plan, own), KEY)
    shapes = lambda x, axis=0: jax.tree.map(lambda leaf: (leaf.shape[axis:], leaf.dtype), x)
    assert shapes(inbox) == shapes(own, int(server)) and shapes(link) == shapes(memory)
    # Beside the messages of all nodes a lie for each victim, and a message for each link.
    rows = {"dissensus": 18, "spectral": 18, "zip_dl": 9 + 81}.get(name, 9)
    assert traffic.bits.shape == traffic.messages.shape == (rows,)


# ---- what was wrong once ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_whole_numbers_are_mixed_or_refused(form):
    count = {"count": np.arange(9, dtype=np.int32)}
    W = drawn(np.random.default_rng(1), 9, "doubly", 0.5)
    try:
        mixed = mix(plan_of(W, "doubly", form), count, count)["count"]
    except InputError:
        return
    np.testing.assert_allclose(mixed, W @ np.arange(9.0), rtol=0, atol=1)


@pytest.mark.parametrize("rule", [exchange.CoordinateMedian(), exchange.TrimmedMean(1)])
def test_a_neighbourhood_of_nobody_is_oneself(rule):
    plan, own = plan_at(schedule.RandomGroups.for_nodes(4, degree=0), 0), np.arange(8, dtype=np.float32).reshape(4, 2)
    np.testing.assert_array_equal(programs.apply(rule, (), wire(plan, own), KEY)[0], own)


@pytest.mark.parametrize(
    ("how", "form"),
    [("lost", "edges"), ("asleep", "slots")]
    + [pytest.param("lost", form, marks=SLOW) for form in ("circulant", "slots", "hubs")]
    + [pytest.param("asleep", form, marks=SLOW) for form in ("circulant", "edges", "hubs")],
)
def test_what_does_not_arrive_does_no_harm(form, how):
    own, plan = np.ones((6, 1), np.float32), topology.ring(6).plan(form)
    sent = np.where(np.arange(6)[:, None] == 2, np.nan, own)
    if how == "asleep":
        plan = plan_at(schedule.Sleeping(schedule.Fixed(plan), 1.0), 0)
        inbox = mix(plan, own, sent)
    else:
        inbox = programs.apply(exchange.Lossy(jnp.float32(1)), (), wire(plan, own, sent), KEY)[0]
    np.testing.assert_array_equal(inbox, own)


@pytest.mark.parametrize("form", ["slots", "edges", pytest.param("hubs", marks=SLOW)])
def test_what_a_node_sends_does_not_reach_itself(form):
    """narrow("float16") sends inf for 70,000: the sender's own copy is fine."""
    own = np.ones((4, 1), np.float32)
    plan = from_graph(nx.star_graph(3)).plan(form)
    inbox = np.asarray(mix(plan, own, np.where(np.arange(4)[:, None] == 2, np.inf, own)))[:, 0]
    np.testing.assert_array_equal(np.isfinite(inbox), [False, True, True, True])


@pytest.mark.parametrize("held", [1e8, np.inf])
def test_a_model_that_is_handed_over_arrives(held):
    x = np.float32([[0.1], [held]])
    handed = compiled(lambda x: mixing.mix(handoff(2, jnp.int32([0]), jnp.int32([1]), jnp.ones(1)), x, x))
    np.testing.assert_allclose(handed(x)[1], [0.1], rtol=1e-6)


@pytest.mark.parametrize("network", [TopK(), exchange.Choco()])
def test_a_message_of_empty_leaves_costs_nothing(network):
    own = {"nothing": np.zeros((9, 0), np.float32)}
    network = exchange.stack([network])
    _, _, traffic = programs.apply(network, programs.begun(network, own), wire(PLANS["dense"], own), KEY)
    np.testing.assert_array_equal(traffic.bits, np.zeros(9))


def test_what_a_server_does_not_get_does_no_harm():
    links = Server(weights=jnp.asarray([1.0, 0.0, 3.0]), used=jnp.ones(3, bool))
    plan = Plan(links, jnp.zeros(3), stochastic="row")
    sent = jnp.asarray([[1.0], [np.nan], [5.0]])
    np.testing.assert_allclose(mix(plan, sent, sent), [4.0], rtol=1e-6)


SUMS = pytest.mark.xfail(strict=True, reason="W_ii = 0: a plain sum, and 3 x 1/3 is not 1")


@pytest.mark.parametrize(
    "form",
    [
        "dense",
        pytest.param("slots", marks=SUMS),
        pytest.param("edges", marks=[SUMS, SLOW]),
        pytest.param("hubs", marks=[SUMS, SLOW]),
    ],
)
def test_equal_models_stay_equal_without_a_weight_of_their_own(form):
    W = sum(np.roll(np.eye(5), shift, axis=1) for shift in (1, 2, 3)) / 3
    plan, x = Topology("no self", csr_array(W)).plan(form), np.full((5, 1), 0.1, np.float32)
    np.testing.assert_array_equal(mix(plan, x, x), x)


@pytest.mark.parametrize("rule", [exchange.CoordinateMedian(), exchange.TrimmedMean(1)])
def test_rules_that_look_at_messages_refuse_whole_numbers_too(rule):
    count = np.arange(9, dtype=np.int32)[:, None]
    with pytest.raises(InputError, match="got a message of int32 numbers"):
        rule.apply((), wire(PLANS["slots"], count), KEY)
