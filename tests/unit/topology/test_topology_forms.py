"""Every form of a plan is the same matrix, and the cheapest one is taken."""

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import plan_reading
import pytest
from scipy.sparse import csr_array

from jdl import plan
from jdl.checks import InputError
from jdl.topology import (
    Topology,
    complete,
    exponential,
    from_graph,
    from_weights,
    one_peer_exponential,
    random_regular,
    ring,
    to_dense,
    torus,
)
from jdl.topology.forms import as_slots, choose
from jdl.topology.topology import grouped
from jdl.types import Circulant, Dense, Edges, Groups, Plan, Server, Slots

GRAPHS = [
    *(make(n) for make in (ring, complete, exponential) for n in (1, 2, 3, 7)),
    torus(12),
    random_regular(10, 3),
    from_graph(nx.star_graph(5)),
    from_graph(nx.DiGraph([(0, 1), (1, 2), (2, 0), (0, 2)])),
    from_weights([[0.5, 0.5, 0], [0.25, 0.25, 0.5], [1.5, 0, -0.5]], stochastic="row"),
    from_graph(nx.empty_graph(3), allow_disconnected=True),
    one_peer_exponential(6)[2],
]


NEED = {"circulant": "shifts", "groups": "groups"}
FORMS = [
    (t, form) for t in GRAPHS for form in ("dense", "slots", "edges", "hubs", "circulant", "groups")
    if form not in NEED or getattr(t, NEED[form]) is not None
]  # fmt: skip


def named_forms():
    return {f"{i}: {topology!r} as {form}": (topology, form) for i, (topology, form) in enumerate(FORMS)}


def test_every_form_is_the_same_matrix(x64):
    """As NumPy reads its arrays, and as `to_dense` does: all plans in one program."""
    cases = named_forms()
    made = {name: topology.plan(form) for name, (topology, form) in cases.items()}
    W = jax.device_get(jax.jit(lambda made: {name: to_dense(one) for name, one in made.items()})(made))

    def check(name):
        topology = cases[name][0]
        np.testing.assert_allclose(W[name], topology.weights.toarray(), rtol=0, atol=1e-15)
        np.testing.assert_allclose(plan_reading.matrix(made[name]), topology.weights.toarray(), rtol=0, atol=1e-15)
        assert (made[name].stochastic, made[name].symmetric) == (topology.stochastic, topology.symmetric)

    plan_reading.all_hold(check, {name: (name,) for name in cases})


def test_used_marks_the_links_and_nothing_else():
    """As NumPy reads its arrays, and as `jdl.plan` does: all plans in one program."""
    cases = named_forms()
    made = {name: topology.plan(form) for name, (topology, form) in cases.items()}
    said = lambda one: (plan.one_by_one(one).links, plan.degree(one), plan.out_degree(one))
    found = jax.device_get(jax.jit(lambda made: {name: said(one) for name, one in made.items()})(made))

    def check(name):
        topology, (links, into, out) = cases[name][0], found[name]
        linked = topology.weights.toarray() * (1 - np.eye(topology.n)) != 0
        np.testing.assert_array_equal(links.used, links.weights != 0)
        np.testing.assert_array_equal(into, linked.sum(axis=1))
        np.testing.assert_array_equal(out, linked.sum(axis=0))
        np.testing.assert_array_equal(plan_reading.links_into(made[name]), linked)

    plan_reading.all_hold(check, {name: (name,) for name in cases})


def test_form_is_the_type_and_the_dtypes_are_the_default_ones():
    for form, kind in (("dense", Dense), ("slots", Slots), ("circulant", Circulant)):
        made = ring(6).plan(form)
        assert isinstance(made.links, kind)
        assert made.links.weights.dtype == made.self_weights.dtype == jnp.float32
        assert made.links.used.dtype == bool
    assert ring(6).plan("slots").links.senders.dtype == jnp.int32
    assert ring(6).plan("circulant").links.shifts == (1, -1)


def test_unused_slots_point_to_their_own_row():
    links = from_graph(nx.star_graph(3)).plan("slots").links
    np.testing.assert_array_equal(links.senders, [[1, 2, 3], [0, 1, 1], [0, 2, 2], [0, 3, 3]])
    np.testing.assert_array_equal(links.used, np.arange(3)[None, :] < np.array([3, 1, 1, 1])[:, None])
    np.testing.assert_array_equal(np.asarray(links.weights)[~np.asarray(links.used)], 0)
    assert as_slots(ring(5).weights, slots=4).weights.shape == (5, 4)


def test_stored_zeros_are_no_links():
    stored = csr_array((np.array([1.0, 0.0, 1.0]), ([0, 0, 1], [0, 1, 1])), shape=(2, 2))
    topology = Topology("apart", stored, symmetric=True)
    assert len(topology.edges) == 0
    for form in ("dense", "slots"):
        assert not np.any(topology.plan(form).links.used)


def test_the_cheapest_form_follows_the_measured_costs(monkeypatch):
    # In reads of all rows: slots take degree + 1, groups 2, a dense product 12 + 0.12 n on a CPU.
    alike = lambda n, k: np.full(n, k)
    assert choose(alike(4096, 4)) == "slots"
    assert (choose(alike(200, 34)), choose(alike(200, 36))) == ("slots", "dense")
    assert choose(alike(4096, 4096 - 1)) == "dense"
    assert choose(alike(4096, 4096 - 1), grouped=True) == choose(alike(64, 1), grouped=True) == "groups"
    assert choose(alike(4096, 12), shifts=tuple(2**j for j in range(12))) == "circulant"
    assert choose(alike(64, 1)) == "slots"
    assert choose(alike(5, 0)) == choose(alike(5, 0), ()) == "dense"
    # Small messages lie in the cache, where a dense product costs 3 + 0.12 n.
    assert (choose(alike(16, 4), numbers=2410), choose(alike(16, 4), numbers=10_000)) == ("dense", "slots")
    # A hub is worth a form of its own where padding all rows to its degree would cost more.
    assert choose(np.array([1000] + [1] * 1000)) == "hubs"
    assert choose(np.array([9] + [8] * 1000)) == "slots"
    graphs = (ring(16), torus(9), random_regular(300, 4), complete(300), ring(1), from_graph(nx.star_graph(2000)))
    assert [type(graph.plan().links) for graph in graphs] == [Circulant, Slots, Slots, Groups, Dense, Edges]
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert (choose(alike(224, 4)), choose(alike(226, 4))) == ("dense", "slots")  # equal where n = 45 (degree + 1)


def test_no_row_of_the_hubs_form_has_many_links():
    """A star of 1,001 nodes: one slot for all, and the 999 links left dealt to 63 rows of 16, then 4, then 1."""
    levels = from_graph(nx.star_graph(1000)).plan("hubs").links.levels
    assert (levels.width, levels.hub_width) == (1, 16)
    assert [which.shape for which in levels.sums] == [(4, 16), (1, 16)]
    assert np.flatnonzero(np.asarray(levels.extra) == 0).tolist() == [0]


def test_groups_are_named_one_by_one_in_slots_of_the_largest_group():
    made = grouped("groups", np.array([0, 1, 0, 0, 2])).plan("groups")
    named = jax.device_get(jax.jit(plan.one_by_one)(made))
    assert named.links.weights.shape == (5, 2)
    np.testing.assert_array_equal(named.links.senders[np.array([1, 4])], [[1, 1], [4, 4]])
    np.testing.assert_array_equal(np.sort(named.links.senders[2]), [0, 3])


def test_refusals(monkeypatch):
    with pytest.raises(InputError, match=r'got form="circulant" for \'torus\', need equal weights along shifts; use'):
        torus(9).plan("circulant")
    with pytest.raises(InputError, match="got form 'sparse', which does not exist; did you mean"):
        ring(4).plan("sparse")
    with pytest.raises(InputError, match=r"got shifts=\(1,\), which leave out some links of W; name every shift, or"):
        Topology("half a ring", ring(5).weights, shifts=(1,)).plan("circulant")
    server = Plan(
        links=Server(weights=jnp.ones(2), used=jnp.ones(2, bool)), self_weights=jnp.zeros(2), stochastic="row"
    )
    with pytest.raises(InputError, match="got a plan with a server, which has no W; use a plan between peers"):
        to_dense(server)
    monkeypatch.setattr("jdl.checks.memory.available_memory", lambda: 100)
    with pytest.raises(InputError, match=r'got form="dense" for n=20, which needs about'):
        ring(20).plan("dense")
    with pytest.raises(InputError, match=r'got form="slots" for n=20 and 2 links into one node, which needs about'):
        ring(20).plan("slots")
