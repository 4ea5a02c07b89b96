"""Every form of one plan mixes, loses and ranks alike; W itself, from `topology.to_dense`, is the reference."""

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import programs
import pytest

from jdl import exchange, topology
from jdl import plan as plans
from jdl.exchange import mixing
from jdl.schedule import Fixed, Sleeping
from jdl.topology import forms
from jdl.topology.topology import grouped
from jdl.types import Plan, Server, Wire

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
EVERY = pytest.mark.parametrize(("name", "form"), CASES)
# Rules that look at messages one by one have no use for a list of links; `compose` refuses it.
LISTED = pytest.mark.parametrize(("name", "form"), [case for case in CASES if case[1] not in ("edges", "hubs")])


def message(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "a": jnp.asarray(rng.standard_normal((N, 3)), jnp.float32),
        "b": jnp.asarray(rng.standard_normal(N), jnp.float32),
    }


def apply(network, wire, key):
    """One round of a network without memory. Its numbers are traced: one program for each form of a plan."""
    return programs.apply(network, (), wire, key)


mix = jax.jit(mixing.mix, compiler_options={"xla_backend_optimization_level": 0})


def lossy(probability):
    return exchange.Lossy(jnp.float32(probability))


def wire(plan, own=None, sent=None):
    own = message() if own is None else own
    sent = own if sent is None else sent
    return Wire(own=own, sent=sent, bits=jnp.full(plans.rows(plan), 128.0, jnp.float32), plan=plan)


@EVERY
def test_the_plan_is_the_matrix(name, form):
    graph = GRAPHS[name]
    np.testing.assert_allclose(topology.to_dense(graph.plan(form)), graph.weights.toarray(), rtol=0, atol=1e-7)


@EVERY
def test_mixing_is_the_matrix_product_with_own_on_the_diagonal(name, form):
    """inbox_i = W_ii own_i + sum_j W_ij sent_j, with `own` and `sent` told apart."""
    W, own, sent = GRAPHS[name].weights.toarray(), message(0), message(1)
    mixed = mix(GRAPHS[name].plan(form), own, sent)
    for key in own:
        mine, theirs = np.asarray(own[key], np.float64), np.asarray(sent[key], np.float64)
        expected = (W - np.diag(np.diag(W))) @ theirs + (np.diag(W) * mine.T).T
        np.testing.assert_allclose(mixed[key], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("name", "form"), [case for case in CASES if GRAPHS[case[0]].stochastic != "column"])
def test_equal_models_stay_equal(name, form):
    """1/3 is not a binary fraction: W x for equal x must not drift by rounding."""
    value = np.float32(0.1) * np.ones((N, 4), np.float32)
    for sent in (value, value.copy()):
        mixed = mixing.mix(GRAPHS[name].plan(form), jnp.asarray(value), jnp.asarray(sent))
        assert np.asarray(mixed).tobytes() == value.tobytes()


@pytest.mark.parametrize(("width", "hub_width"), [(1, 2), (2, 3), (1, 16), (40, 16)])
@pytest.mark.parametrize("graph", [nx.star_graph(40), nx.barabasi_albert_graph(60, 2, seed=1)], ids=["star", "ba"])
def test_hubs_sum_up_level_by_level(graph, width, hub_width):
    """However many links a row has in one place, W x is the same; a node that is no number harms neighbours only."""
    made = topology.from_graph(graph)
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
    for plan in (topology.ring(n).plan("slots"), topology.complete(n).plan("slots")):
        np.testing.assert_allclose(mix(plan, x, x), np.asarray(topology.to_dense(plan)) @ x, rtol=0, atol=2e-6)


@EVERY
def test_narrow_messages_are_summed_in_the_type_of_the_model(name, form):
    own, sent = message(0), jax.tree.map(lambda x: x.astype(jnp.bfloat16), message(1))
    mixed = mix(GRAPHS[name].plan(form), own, sent)
    widened = mix(GRAPHS[name].plan(form), own, jax.tree.map(lambda x: x.astype(jnp.float32), sent))
    for key in own:
        assert mixed[key].dtype == jnp.float32
        np.testing.assert_allclose(mixed[key], widened[key], rtol=0, atol=1e-6)


@LISTED
def test_median_of_the_closed_neighbourhood(name, form):
    W, own, sent = GRAPHS[name].weights.toarray(), message(0), message(1)
    inbox, _, _ = apply(exchange.CoordinateMedian(), wire(GRAPHS[name].plan(form), own, sent), jax.random.key(0))
    for key in own:
        for i in range(N):
            others = [j for j in range(N) if j != i and W[i, j] != 0]
            heard = np.stack([own[key][i], *[sent[key][j] for j in others]])
            np.testing.assert_allclose(inbox[key][i], np.median(heard, axis=0), rtol=0, atol=1e-6)


@EVERY
def test_lost_links_are_the_same_in_every_form_and_keep_the_kind(name, form):
    graph, probability, key = GRAPHS[name], 0.4, jax.random.key(7)
    lost = _effective(graph.plan(form), probability, key)
    np.testing.assert_allclose(lost, _effective(graph.plan("dense"), probability, key), rtol=0, atol=1e-6)
    W = graph.weights.toarray()
    off = ~np.eye(N, dtype=bool)
    assert np.all((np.abs(lost[off]) < 1e-7) | (np.abs(lost - W)[off] < 1e-6))
    gone = (np.abs(lost) < 1e-7) & (W != 0) & off
    assert 0 < gone.sum() < (W[off] != 0).sum()
    if graph.stochastic == "column":
        np.testing.assert_allclose(lost.sum(axis=0), 1, atol=1e-6)
        np.testing.assert_allclose(np.diag(lost), np.diag(W) + (W * gone).sum(axis=0), atol=1e-6)
    else:
        np.testing.assert_allclose(lost.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(np.diag(lost), np.diag(W) + (W * gone).sum(axis=1), atol=1e-6)
    if graph.symmetric:
        np.testing.assert_array_equal(gone, gone.T)
    elif graph.stochastic == "doubly":
        assert not np.array_equal(gone, gone.T)


def _effective(plan, probability, key) -> np.ndarray:
    """The matrix by which a lossy network multiplies: its answer to the identity."""
    eye = jnp.eye(N)
    inbox, _, _ = apply(lossy(probability), wire(plan, eye, eye), key)
    return np.asarray(inbox)


@pytest.mark.parametrize("name", GRAPHS)
def test_the_right_share_of_links_is_lost(name):
    """Over 400 rounds, to 5 sigma; an undirected link counts once, for both its directions fail together."""
    graph, probability, rounds = GRAPHS[name], 0.3, 400  # in one form: all draw alike, see above
    plan = graph.plan()
    eye = jnp.eye(N)
    many = jax.jit(jax.vmap(lambda key: lossy(probability).apply((), wire(plan, eye, eye), key)[0]))
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


@EVERY
@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_none_or_all_lost(name, form, probability):
    lost = _effective(GRAPHS[name].plan(form), probability, jax.random.key(0))
    expected = np.eye(N) if probability else GRAPHS[name].weights.toarray()
    np.testing.assert_allclose(lost, expected, rtol=0, atol=1e-6)


@LISTED
def test_median_hears_nobody_on_lost_links(name, form):
    own, sent = message(0), message(1)
    network = exchange.stack([lossy(1.0), exchange.CoordinateMedian()])
    inbox, _, traffic = apply(network, wire(GRAPHS[name].plan(form), own, sent), jax.random.key(0))
    for key in own:
        np.testing.assert_array_equal(inbox[key], own[key])
    np.testing.assert_array_equal(traffic.messages, (GRAPHS[name].weights.toarray() != 0).sum(axis=0) - 1)


@EVERY
@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_senders_pay_for_what_they_put_on_a_link(name, form, probability):
    """Copies of j = links out of j, the column of W, lost or not; bits = copies times the size of one."""
    _, _, traffic = apply(lossy(probability), wire(GRAPHS[name].plan(form)), jax.random.key(0))
    copies = (GRAPHS[name].weights.toarray() != 0).sum(axis=0) - 1
    np.testing.assert_array_equal(traffic.messages, copies)
    np.testing.assert_array_equal(traffic.bits, copies * 128.0)


@EVERY
def test_sleepers_leave_every_form_alike(name, form):
    key = jax.random.key(5)
    draw = jax.jit(lambda talk: Sleeping(talk, jnp.float32(0.4))((), jnp.int32(0), key)[0])
    plan, reference = draw(Fixed(GRAPHS[name].plan(form))), draw(Fixed(GRAPHS[name].plan("dense")))
    np.testing.assert_array_equal(plan.active, reference.active)
    np.testing.assert_allclose(topology.to_dense(plan), topology.to_dense(reference), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(plans.out_degree(plan), plans.out_degree(reference))
    np.testing.assert_array_equal(plans.degree(plan), plans.degree(reference))
    assert not np.any(np.asarray(plans.out_degree(plan))[~np.asarray(plan.active)])
    total = topology.to_dense(plan).sum(axis=0 if GRAPHS[name].stochastic == "column" else 1)
    np.testing.assert_allclose(total, 1, atol=1e-6)


@EVERY
def test_counts_are_float32_whatever_the_default(name, form, x64):
    """Traffic is float32 in the state; a count of another width would not fit it."""
    plan = GRAPHS[name].plan(form)
    assert plans.out_degree(plan).dtype == jnp.float32
    assert plans.degree(plan).dtype == jnp.int32


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
    bits = jnp.full(4, 96.0, jnp.float32)
    given = Wire(own=sent, sent=sent, bits=bits, plan=server([1, 2, 3, 4]))
    aggregate, _, traffic = network.apply(network.init(sent), given, jax.random.key(0))
    np.testing.assert_array_equal(aggregate, np.zeros(3))
    np.testing.assert_array_equal(traffic.bits, bits)


def test_lost_messages_leave_the_average_of_a_server():
    sent = jnp.asarray([[1.0], [10.0], [100.0], [1000.0]])
    given = Wire(own=sent, sent=sent, bits=jnp.ones(4, jnp.float32), plan=server([1, 1, 1, 1]))
    keys = jax.random.split(jax.random.key(0), 50)
    means = np.array([apply(lossy(0.5), given, key)[0][0] for key in keys])
    subsets = [[i for i in range(4) if mask >> i & 1] for mask in range(16)]
    possible = np.array([np.mean([10.0**i for i in subset]) if subset else 0.0 for subset in subsets])
    assert np.all(np.abs(means[:, None] - possible[None, :]).min(axis=1) < 1e-3)
    assert len(np.unique(means.round(2))) > 5
