"""Every form of one plan mixes, loses and ranks alike; W itself, from `topology.to_dense`, is the reference."""

import functools
import os

import exchange_programs as programs
import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from exchange_programs import wire

from jdl import exchange, topology
from jdl import plan as plans
from jdl.exchange import mixing
from jdl.schedule import Fixed, Sleeping
from jdl.topology import forms
from jdl.topology.topology import grouped
from jdl.types import Groups, Plan, Server

N = 9


def column():
    """A column-stochastic W on a digraph, each column its own weights."""
    rng = np.random.default_rng(3)
    links = np.roll(np.eye(N), 1, axis=0) + (rng.random((N, N)) < 0.3) * rng.uniform(0.2, 1, (N, N)) + np.eye(N)
    return links / links.sum(axis=0)


GRAPHS = {
    "ring": topology.ring(N),
    "exponential": topology.exponential(N),
    "column": topology.from_weights(column(), stochastic="column"),
    "row": topology.from_weights(column().T, stochastic="row"),
    "star": topology.from_graph(nx.star_graph(N - 1)),
    "groups": grouped("groups", np.array([0, 2, 0, 1, 1, 2, 0, 1, 3])),
}
FORMS = ("dense", "slots", "circulant", "edges", "hubs", "groups")
NEED = {"circulant": "shifts", "groups": "groups"}
CASES = [
    (name, form) for name, graph in GRAPHS.items() for form in FORMS
    if form not in NEED or getattr(graph, NEED[form]) is not None
]  # fmt: skip
# Each form and each graph once or twice, in two days; all pairs, each of which is a program of its own, run with the
# slow checks.
QUICK = [
    ("ring", "slots"), ("exponential", "circulant"), ("row", "dense"), ("column", "slots"), ("row", "edges"),
    ("star", "hubs"), ("groups", "groups"),
][int(os.environ["JDL_TEST_SEED"]) % 2 :: 2]  # fmt: skip


def every(cases):
    return pytest.mark.parametrize(
        ("name", "form"), [pytest.param(*case, marks=[] if case in QUICK else [pytest.mark.slow]) for case in cases]
    )


EVERY = every(CASES)
# Rules that look at messages one by one have no use for a list of links; `compose` refuses it.
LISTED = every([case for case in CASES if case[1] not in ("edges", "hubs")])


def message(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "a": jnp.asarray(rng.standard_normal((N, 3)), jnp.float32),
        "b": jnp.asarray(rng.standard_normal(N), jnp.float32),
    }


mix = jax.jit(mixing.mix, compiler_options={"xla_backend_optimization_level": 0})
MEDIAN = exchange.CoordinateMedian()
LOSSES = np.array([0.0, 0.4, 0.5, 1.0], np.float32)
LOST = jax.random.key(7)


def slept(plan):
    """A round in which four in ten sleep: who is awake, W, and how many links go in and out."""
    plan = Sleeping(Fixed(plan), jnp.float32(0.4))((), jnp.int32(0), jax.random.key(5))[0]
    return {
        "active": plan.active, "matrix": topology.to_dense(plan),
        "out": plans.out_degree(plan), "in": plans.degree(plan),
    }  # fmt: skip


def lossy(plan, probability):
    """The matrix by which a lossy network multiplies, its answer to the identity; and what it counts."""
    eye = jnp.eye(N)
    inbox, _, traffic = programs.round_of(exchange.Lossy(probability), (), wire(plan, eye), LOST)
    return {"matrix": inbox, "messages": traffic.messages, "bits": traffic.bits}


@functools.partial(jax.jit, static_argnames="listed", compiler_options={"xla_backend_optimization_level": 0})
def program(plan, own, sent, equal, listed):
    """All that is asked of a plan, as one program."""
    found = {
        "matrix": topology.to_dense(plan),
        "mixed": mixing.mix(plan, own, sent),
        "narrow": mixing.mix(plan, own, jax.tree.map(lambda x: x.astype(jnp.bfloat16), sent)),
        "equal": mixing.mix(plan, equal, jax.tree.map(jnp.copy, equal)),
        "slept": slept(plan),
        "lossy": jax.vmap(lambda probability: lossy(plan, probability))(LOSSES),
    }
    if isinstance(plan.links, Groups):  # they tell `own` itself from a copy of it
        found["equal, the same"] = mixing.mix(plan, equal, equal)
    if listed:
        return found
    deaf = exchange.stack([exchange.Lossy(1.0), MEDIAN])
    return found | {
        "median": MEDIAN.apply((), wire(plan, own, sent), LOST)[0],
        "deaf": programs.round_of(deaf, (), wire(plan, own, sent), LOST)[::2],
    }


EQUAL = jax.tree.map(lambda x: np.full(x.shape, 0.1, np.float32), message())


@functools.cache
def seen(name, form):
    """What the program says of a graph in a form."""
    return jax.device_get(program(GRAPHS[name].plan(form), message(0), message(1), EQUAL, form in ("edges", "hubs")))


@functools.cache
def reference(name):
    """Losses and sleepers of the dense form, which the others must draw alike."""
    return jax.device_get(referred(GRAPHS[name].plan("dense")))


@functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
def referred(plan):
    return {"lossy": lossy(plan, jnp.float32(0.4))["matrix"], "slept": slept(plan)}


def product(W, own, sent):
    """W_ii own_i + sum_j W_ij sent_j in float64, `own` and `sent` told apart."""
    own, sent = np.asarray(own, np.float64), np.asarray(sent, np.float64)
    return (W - np.diag(np.diag(W))) @ sent + (np.diag(W) * own.T).T


@EVERY
def test_the_plan_is_the_matrix(name, form):
    np.testing.assert_allclose(seen(name, form)["matrix"], GRAPHS[name].weights.toarray(), rtol=0, atol=1e-7)


@EVERY
def test_mixing_is_the_matrix_product_with_own_on_the_diagonal(name, form):
    W, own, sent = GRAPHS[name].weights.toarray(), message(0), message(1)
    for key in own:
        np.testing.assert_allclose(seen(name, form)["mixed"][key], product(W, own[key], sent[key]), rtol=0, atol=1e-6)


@EVERY
def test_narrow_messages_are_summed_in_the_type_of_the_model(name, form):
    """The product with what is left of the numbers in bfloat16, to the digits of float32."""
    W, own, sent = GRAPHS[name].weights.toarray(), message(0), message(1)
    for key in own:
        mixed, short = seen(name, form)["narrow"][key], sent[key].astype(jnp.bfloat16).astype(jnp.float32)
        assert mixed.dtype == np.float32
        np.testing.assert_allclose(mixed, product(W, own[key], short), rtol=0, atol=1e-6)
        assert np.abs(mixed - product(W, own[key], sent[key])).max() > 1e-4


@every([case for case in CASES if GRAPHS[case[0]].stochastic != "column"])
def test_equal_models_stay_equal(name, form):
    """1/3 is not a binary fraction: W x for equal x must not drift by rounding."""
    for given in ("equal", *(["equal, the same"] if form == "groups" else [])):
        assert all(seen(name, form)[given][key].tobytes() == EQUAL[key].tobytes() for key in EQUAL)


@LISTED
def test_median_of_the_closed_neighbourhood(name, form):
    W, own, sent = GRAPHS[name].weights.toarray(), message(0), message(1)
    for key in own:
        for i in range(N):
            others = [j for j in range(N) if j != i and W[i, j] != 0]
            heard = np.stack([own[key][i], *[sent[key][j] for j in others]])
            np.testing.assert_allclose(seen(name, form)["median"][key][i], np.median(heard, axis=0), rtol=0, atol=1e-6)


@LISTED
def test_median_hears_nobody_on_lost_links(name, form):
    (inbox, traffic), own = seen(name, form)["deaf"], message(0)
    for key in own:
        np.testing.assert_array_equal(inbox[key], own[key])
    np.testing.assert_array_equal(traffic.messages, (GRAPHS[name].weights.toarray() != 0).sum(axis=0) - 1)


@EVERY
def test_lost_links_are_the_same_in_every_form_and_keep_the_kind(name, form):
    graph, row = GRAPHS[name], LOSSES.tolist().index(np.float32(0.4))
    lost = seen(name, form)["lossy"]["matrix"][row]
    np.testing.assert_allclose(lost, reference(name)["lossy"], rtol=0, atol=1e-6)
    W = graph.weights.toarray()
    off = ~np.eye(N, dtype=bool)
    assert np.all((np.abs(lost[off]) < 1e-7) | (np.abs(lost - W)[off] < 1e-6))
    gone = (np.abs(lost) < 1e-7) & (W != 0) & off
    assert 0 < gone.sum() < (W[off] != 0).sum()
    axis = 0 if graph.stochastic == "column" else 1
    np.testing.assert_allclose(lost.sum(axis=axis), 1, atol=1e-6)
    np.testing.assert_allclose(np.diag(lost), np.diag(W) + (W * gone).sum(axis=axis), atol=1e-6)
    if graph.symmetric:
        np.testing.assert_array_equal(gone, gone.T)
    elif graph.stochastic == "doubly":
        assert not np.array_equal(gone, gone.T)


@EVERY
def test_none_or_all_lost(name, form):
    found = seen(name, form)["lossy"]["matrix"]
    np.testing.assert_allclose(found[0], GRAPHS[name].weights.toarray(), rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[-1], np.eye(N), rtol=0, atol=1e-6)


@EVERY
def test_senders_pay_for_what_they_put_on_a_link(name, form):
    """Copies of j = links out of j, the column of W, lost or not; bits = copies times the size of one."""
    copies = (GRAPHS[name].weights.toarray() != 0).sum(axis=0) - 1
    for messages, bits in zip(seen(name, form)["lossy"]["messages"], seen(name, form)["lossy"]["bits"], strict=True):
        np.testing.assert_array_equal(messages, copies)
        np.testing.assert_array_equal(bits, copies * 128.0)


@EVERY
def test_sleepers_leave_every_form_alike(name, form):
    found, expected = seen(name, form)["slept"], reference(name)["slept"]
    for key in ("active", "out", "in"):
        np.testing.assert_array_equal(found[key], expected[key])
    np.testing.assert_allclose(found["matrix"], expected["matrix"], rtol=0, atol=1e-6)
    assert not np.any(found["out"][~found["active"]]) and 0 < np.sum(~found["active"]) < N
    total = found["matrix"].sum(axis=0 if GRAPHS[name].stochastic == "column" else 1)
    np.testing.assert_allclose(total, 1, atol=1e-6)


@EVERY
def test_counts_are_float32_whatever_the_default(name, form, x64):
    """Traffic is float32 in the state; a count of another width would not fit it."""
    counts = jax.eval_shape(lambda plan: (plans.out_degree(plan), plans.degree(plan)), GRAPHS[name].plan(form))
    assert [count.dtype for count in counts] == [jnp.float32, jnp.int32]


@pytest.mark.parametrize(
    ("graph", "width", "hub_width"),
    [("star", 1, 2), ("ba", 2, 3)]
    + [pytest.param(*case, marks=pytest.mark.slow) for case in (("star", 40, 16), ("ba", 1, 16), ("ba", 1, 2))],
)
def test_hubs_sum_up_level_by_level(graph, width, hub_width):
    """However many links a row has in one place, W x is the same; a node that is no number harms neighbours only."""
    graphs = {"star": nx.star_graph(40), "ba": nx.barabasi_albert_graph(60, 2, seed=1)}
    made = topology.from_graph(graphs[graph])
    plan = made.plan("slots").replace(links=forms.as_hubs(made.weights, width, hub_width))
    x = np.random.default_rng(0).standard_normal((made.n, 3)).astype(np.float32)
    np.testing.assert_allclose(mix(plan, x, x), made.weights.toarray() @ x, rtol=0, atol=2e-6)
    x[-1] = np.nan
    hit = np.isnan(np.asarray(mix(plan, x, x))).all(axis=1)
    np.testing.assert_array_equal(hit, made.weights.toarray()[:, -1] != 0)


@pytest.mark.parametrize("times", [3, 70])
def test_many_slots_become_a_loop(times):
    n = times + 1
    x = np.random.default_rng(0).standard_normal((n, 2)).astype(np.float32)
    for graph in (topology.ring(n), topology.complete(n)):
        np.testing.assert_allclose(mix(graph.plan("slots"), x, x), graph.weights.toarray() @ x, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", ["ring", "exponential", "column", pytest.param("row", marks=pytest.mark.slow)])
def test_the_right_share_of_links_is_lost(name):
    """Over 400 rounds, to 5 sigma; an undirected link counts once, for both its directions fail together."""
    graph, probability, rounds = GRAPHS[name], 0.3, 400  # in one form: all draw alike, see above
    plan = graph.plan()
    eye = jnp.eye(N)
    many = jax.jit(jax.vmap(lambda key: exchange.Lossy(jnp.float32(probability)).apply((), wire(plan, eye), key)[0]))
    matrices = np.asarray(many(jax.random.split(jax.random.key(1), rounds)))
    linked = (graph.weights.toarray() != 0) & ~np.eye(N, dtype=bool)
    linked = np.triu(linked) if graph.symmetric else linked
    gone = (np.abs(matrices) < 1e-7)[:, linked]
    trials = gone.size
    assert abs(gone.mean() - probability) < 5 * np.sqrt(probability * (1 - probability) / trials)
    # Links fail on their own: the number lost in a round spreads as a binomial does.
    spread = gone.sum(axis=1).var()
    binomial = linked.sum() * probability * (1 - probability)
    assert abs(spread / binomial - 1) < 5 * np.sqrt(2 / rounds) + 0.1


def server(weights):
    weights = jnp.asarray(weights, jnp.float32)
    m = len(weights)
    ids = jnp.asarray([1, 4, 6, 8][:m], jnp.int32)
    return Plan(links=Server(weights, jnp.ones(m, bool)), self_weights=jnp.zeros(m), participants=ids, stochastic="row")


def test_a_server_takes_the_weighted_mean():
    sent = jnp.asarray(np.random.default_rng(0).standard_normal((4, 3)), jnp.float32)
    weights = np.array([1.0, 5.0, 0.0, 2.0])
    mixed = mixing.mix(server(weights), sent, sent)
    np.testing.assert_allclose(mixed, weights @ np.asarray(sent) / weights.sum(), rtol=1e-6)


@pytest.mark.parametrize("rule", [[], [exchange.CoordinateMedian()]])
def test_where_nothing_arrives_the_aggregate_change_is_zero(rule):
    sent = jnp.ones((4, 3))
    network = exchange.stack([exchange.Lossy(1.0), *rule])
    given = wire(server([1, 2, 3, 4]), sent, bits=96)
    aggregate, _, traffic = programs.apply(network, network.init(sent), given, jax.random.key(0))
    np.testing.assert_array_equal(aggregate, np.zeros(3))
    np.testing.assert_array_equal(traffic.bits, np.full(4, 96.0))


def test_lost_messages_leave_the_average_of_a_server():
    sent = jnp.asarray([[1.0], [10.0], [100.0], [1000.0]])
    given = wire(server([1, 1, 1, 1]), sent)
    keys = jax.random.split(jax.random.key(0), 50)
    means = np.asarray(jax.jit(jax.vmap(lambda key: exchange.Lossy(0.5).apply((), given, key)[0][0]))(keys))
    subsets = [[i for i in range(4) if mask >> i & 1] for mask in range(16)]
    possible = np.array([np.mean([10.0**i for i in subset]) if subset else 0.0 for subset in subsets])
    assert np.all(np.abs(means[:, None] - possible[None, :]).min(axis=1) < 1e-3)
    assert len(np.unique(means.round(2))) > 5
