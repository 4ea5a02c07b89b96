"""Messages that differ from link to link: who gets what, in every form of a plan, with losses, and what is counted."""

import functools
from typing import ClassVar, NamedTuple

import exchange_programs as programs
import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from flax import struct

import jdl
from jdl import exchange, topology
from jdl import plan as plans
from jdl.compressors import HalfPrecision, TopK
from jdl.engine.messages import content_and_bits
from jdl.topology.topology import grouped
from jdl.types import PerLink, Sized, Slots

N = 9
GRAPHS = {
    "ring": topology.ring(N),
    "star": topology.star(N),
    "irregular": topology.from_graph(nx.barabasi_albert_graph(N, 2, seed=3)),
    "groups": grouped("groups", np.array([0, 2, 0, 1, 1, 2, 0, 1, 3])),
    "apart": topology.from_weights(np.eye(N), allow_disconnected=True),
}
NEED = {"circulant": "shifts", "groups": "groups"}
CASES = [
    (name, form)
    for name, graph in GRAPHS.items()
    for form in ("slots", "dense", "circulant", "groups")
    if form not in NEED or getattr(graph, NEED[form]) is not None
]
# Each form and each graph; all pairs run with the slow checks.
QUICK = {("irregular", "slots"), ("star", "dense"), ("ring", "circulant"), ("groups", "groups"), ("apart", "slots")}
EVERY = pytest.mark.parametrize(
    ("name", "form"), [pytest.param(*case, marks=[] if case in QUICK else [pytest.mark.slow]) for case in CASES]
)


def letter(sender, receiver):
    """What a sender writes to a receiver, and to nobody else."""
    return np.stack([1 + sender, 100.0 * (1 + receiver), np.full_like(sender, -3.5, float)], axis=-1)


def letters(plan):
    """The message of all rows, each link's its own, as arrays `[m, k, 3]` and `[m, k]`."""
    ids = np.asarray(neighbours(plan).ids)
    me = np.broadcast_to(np.arange(N)[:, None], ids.shape)
    text = letter(me, ids)
    return PerLink({"text": jnp.asarray(text, jnp.float32), "sum": jnp.asarray(text.sum(-1), jnp.float32)}), me, ids


def check(inbox, me, ids, arrived):
    expected = np.where(arrived[..., None], letter(ids, me), 0)
    np.testing.assert_array_equal(inbox.arrived, arrived)
    np.testing.assert_array_equal(inbox.content["text"], expected)
    np.testing.assert_array_equal(inbox.content["sum"], expected.sum(-1))


@jax.jit
def told_of(plan):
    """The neighbours of each node, and where in their rows it is."""
    return plans.neighbours(plan), plans.back(plans.one_by_one(plan).links)


neighbours = jax.jit(plans.neighbours)


@EVERY
def test_neighbours_are_the_matrix_and_know_the_way_back(name, form):
    W, seen = GRAPHS[name].weights.toarray(), np.zeros((N, N))
    plan = GRAPHS[name].plan(form)
    links, which = jax.device_get(told_of(plan))
    assert which.dtype == np.int32 and which.shape == links.used.shape
    for i, s in zip(*np.nonzero(links.used), strict=True):
        assert seen[i, links.ids[i, s]] == 0  # each neighbour once
        seen[i, links.ids[i, s]] = links.weights[i, s]
        there, back = links.ids[i, s], which[i, s]
        assert links.used[there, back] and links.ids[there, back] == i
    np.testing.assert_allclose(seen, W - np.diag(np.diag(W)), rtol=0, atol=1e-7)
    assert np.all(links.weights[~links.used] == 0)


@functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
def program(plan, message, keys):
    """A round that loses nothing, three that lose two in five, and one that loses all."""
    wire = programs.wire(plan, message)
    lossy = lambda probability, key: programs.round_of(exchange.Lossy(probability), (), wire, key)[::2]
    return programs.round_of(exchange.Linear(), (), wire, keys[0])[::2], jax.vmap(lossy)(LOSSES, keys)


LOSSES = np.float32([0.4, 0.4, 0.4, 1.0])


@EVERY
def test_every_letter_reaches_its_receiver_alone_or_is_lost_both_ways_and_counted(name, form):
    plan = GRAPHS[name].plan(form)
    message, me, ids = letters(plan)
    used, lost = np.asarray(neighbours(plan).used), 0
    (inbox, traffic), many = jax.device_get(program(plan, message, jax.random.split(jax.random.key(0), 4)))
    check(inbox, me, ids, used)
    np.testing.assert_array_equal(traffic.messages, used.sum(1))
    np.testing.assert_array_equal(traffic.bits, 128.0 * used.sum(1))
    for row, probability in enumerate(LOSSES):
        inbox, traffic = jax.tree.map(lambda x, row=row: x[row], many)
        check(inbox, me, ids, inbox.arrived)
        heard = np.zeros((N, N), bool)
        heard[me[inbox.arrived], ids[inbox.arrived]] = True
        assert np.array_equal(heard, heard.T) and not np.any(inbox.arrived & ~used)
        np.testing.assert_array_equal(traffic.messages, used.sum(1))
        if probability == 1:
            assert not inbox.arrived.any()
        else:
            lost += int(used.sum() - inbox.arrived.sum())
    total = 3 * int(used.sum())
    assert (0.15 * total < lost < 0.65 * total) or total == 0


def test_the_same_links_fail_in_every_form():
    heard = []
    for form in ("slots", "circulant"):
        plan = GRAPHS["ring"].plan(form)
        message, me, ids = letters(plan)
        _, (inbox, _) = program(plan, message, jax.random.split(jax.random.key(0), 4))
        arrived = np.asarray(inbox.arrived)[0]
        heard.append({*zip(me[arrived].tolist(), ids[arrived].tolist(), strict=True)})
    assert heard[0] == heard[1] and 0 < len(heard[0]) < 2 * N


def test_what_is_no_number_harms_its_receiver_alone():
    plan = GRAPHS["irregular"].plan("slots")
    message, _, ids = letters(plan)
    bad = np.where(np.arange(N)[:, None] == 0, np.nan, np.asarray(message.content["sum"]))
    inbox, _, _ = programs.apply(exchange.Linear(), (), programs.wire(plan, PerLink(bad)), jax.random.key(0))
    used = np.asarray(neighbours(plan).used)
    np.testing.assert_array_equal(np.isnan(inbox.content), used & (ids == 0))


def test_letters_travel_beside_what_is_mixed():
    plan = GRAPHS["ring"].plan("slots")
    message, me, ids = letters(plan)
    x = jnp.asarray(np.random.default_rng(0).standard_normal((N, 4)), jnp.float32)
    both = {"x": x, "letters": message, "none": ()}
    inbox, _, _ = programs.apply(exchange.Linear(), (), programs.wire(plan, both), jax.random.key(0))
    np.testing.assert_allclose(inbox["x"], GRAPHS["ring"].weights.toarray() @ np.asarray(x), rtol=0, atol=1e-6)
    check(inbox["letters"], me, ids, np.asarray(neighbours(plan).used))


def test_narrow_letters_arrive_in_the_type_of_ones_own():
    plan = GRAPHS["star"].plan("slots")
    message, me, ids = letters(plan)
    third = jax.tree.map(lambda x: np.asarray(x) / np.float32(3), message)
    half = exchange.Compressed(HalfPrecision())
    inbox, _, traffic = programs.apply(half, half.init(third), programs.wire(plan, third), jax.random.key(0))
    sums = inbox.content["sum"]
    assert sums.dtype == jnp.float32 and inbox.content["text"].dtype == jnp.float32
    rounded = np.asarray(jnp.asarray(letter(ids, me).sum(-1) / 3, jnp.bfloat16), np.float32)
    np.testing.assert_allclose(sums, np.where(np.asarray(inbox.arrived), rounded, 0), rtol=1e-2, atol=0)
    assert np.any(np.asarray(sums) != np.where(np.asarray(inbox.arrived), letter(ids, me).sum(-1) / 3, 0))
    np.testing.assert_array_equal(traffic.bits, 64.0 * np.asarray(plans.degree(plan)))


def test_directed_forms_and_lists_of_links_know_no_way_back():
    problem = jdl.problems.quadratic(nodes=N, dim=2)
    for graph, need in ((topology.exponential(N), "symmetric"), (GRAPHS["irregular"].plan("edges"), "one_by_one")):
        talk = jdl.schedule.Fixed(graph) if need == "one_by_one" else graph
        with pytest.raises(jdl.checks.InputError, match=need):
            jdl.simulation(problem, Letters(), talk)
    with pytest.raises(jdl.checks.InputError, match="fixed_links"):
        jdl.simulation(
            problem, Letters(), jdl.schedule.Sleeping(jdl.schedule.Fixed.of(GRAPHS["ring"]), probability=0.5)
        )
    with pytest.raises(jdl.checks.InputError, match="per_link"):
        jdl.simulation(problem, Letters(), GRAPHS["ring"], [TopK(0.5)])


# ---- sizes --------------------------------------------------------------------------------------------------------


def test_a_part_for_each_link_counts_as_what_one_link_carries():
    x = jnp.zeros((N, 4, 7), jnp.float32)
    assert content_and_bits(PerLink({"a": x, "b": x[:, :, 0]}))[1].tolist() == [8 * 32]
    assert content_and_bits({"all": jnp.zeros((N, 10)), "each": PerLink(x)})[1].tolist() == [17 * 32]
    content, bits = content_and_bits(Sized(PerLink(x), jnp.arange(float(N))))
    assert isinstance(content, PerLink) and bits.tolist() == list(range(N))
    both = {"packed": Sized(x[:, 0], jnp.full(N, 5.0)), "each": PerLink(x)}
    np.testing.assert_array_equal(content_and_bits(both)[1], np.full(N, 5 + 7 * 32))
    assert content_and_bits(PerLink(x[:, :0]))[1].tolist() == [0]  # nobody to write to


class Post(NamedTuple):
    x: jax.Array  # the parameters, which stay
    inbox: jax.Array  # i32[k], who wrote
    count: jax.Array  # f[k], letters so far


@struct.dataclass
class Letters:
    """Every node writes its id to each of its neighbours; in every second round nothing, where `packed`."""

    packed: bool = struct.field(pytree_node=False, default=False)

    needs: ClassVar[frozenset[str]] = frozenset(
        {"peers", "row_stochastic", "per_link", "one_by_one", "symmetric", "fixed_links"}
    )
    phases: ClassVar[tuple[tuple[str, str], ...]] = (("send", "recv"),)

    def init(self, params, node):
        k = node.links.ids.shape[0]
        return Post(params, jnp.full(k, -1, jnp.int32), jnp.zeros(k))

    def send(self, state, node):
        message = PerLink({"from": jnp.full_like(node.links.ids, node.id), "to": node.links.ids})
        bits = jnp.where(node.t % 2 == 0, 24 + node.id.astype(jnp.float32), 0)
        return (Sized(message, bits) if self.packed else message), state

    def recv(self, state, inbox, node):
        mine = inbox.arrived & (inbox.content["to"] == node.id) & (inbox.content["from"] == node.links.ids)
        wrong = jnp.any((inbox.arrived & ~mine) | (inbox.arrived & ~node.links.used))
        who = jnp.where(mine, inbox.content["from"], -1)
        return Post(state.x, who, state.count + mine.astype(state.count.dtype)), {"wrong": wrong.astype(jnp.float32)}

    def model(self, state):
        return state.x


@pytest.mark.parametrize(
    ("name", "form", "size"),
    [("ring", "circulant", False), ("irregular", "slots", True), ("groups", "groups", False)]
    + [
        pytest.param(*case, marks=pytest.mark.slow)
        for case in (("ring", "circulant", True), ("irregular", "slots", False), ("groups", "groups", True))
    ],
)
def test_an_algorithm_over_links(name, form, size):
    """What a node is told of its links and what it is given fit, round after round; Packed sizes are counted."""
    graph, problem = GRAPHS[name], jdl.problems.quadratic(nodes=N, dim=2)
    built = jdl.simulation(problem, Letters(packed=size), jdl.schedule.Fixed(graph.plan(form)))
    sim = jax.jit(jdl.sim.init)(built)
    step = jax.jit(jdl.sim.step)
    for _ in range(3):
        sim, reports = step(built, sim)
        assert np.max(reports.values["wrong"]) == 0
    degree = np.asarray(graph.degree)
    np.testing.assert_array_equal(np.sum(np.asarray(sim.nodes.count), axis=1), 3 * degree)
    rounds, bits = (2, 24 + np.arange(N)) if size else (3, 64)
    np.testing.assert_array_equal(sim.traffic.messages[0], rounds * degree)
    np.testing.assert_array_equal(sim.traffic.bits[0], rounds * degree * bits)


def test_rows_without_any_link_have_nobody_to_answer():
    none = jnp.zeros((2, 0))
    assert plans.back(Slots(none, none.astype(bool), none.astype(jnp.int32))).shape == (2, 0)
