"""Fixed and cyclic schedules: the plans they were given, in one program for every graph of one shape."""

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from plan_reading import matrix

from jdl.checks import InputError
from jdl.schedule import Cyclic, Fixed
from jdl.topology import (
    complete,
    exponential,
    from_graph,
    from_weights,
    one_peer_exponential,
    random_regular,
    ring,
)
from jdl.topology.cycles.base_k import base_k
from jdl.topology.cycles.hyper_hypercube import hyper_hypercube, one_peer_hypercube
from jdl.types import Circulant, Dense, Edges, Groups, Plan, Schedule, Slots

KEY = jax.random.key(0)


def plan_of(schedule, t):
    """The plan of round t, of a schedule that remembers nothing."""
    plan, memory = schedule(schedule.init(KEY), t, KEY)
    assert memory == ()
    return plan


DIRECTED = from_graph(nx.DiGraph([(0, 1), (1, 2), (2, 0), (0, 2)]))
ROW = from_weights([[0.5, 0.5, 0], [0.25, 0.25, 0.5], [0, 0.5, 0.5]], stochastic="row")


def test_fixed_is_its_plan_in_every_round():
    schedule = Fixed.of(ring(5))
    assert isinstance(schedule, Schedule) and schedule.n == 5
    for t in (0, 7):
        np.testing.assert_allclose(matrix(plan_of(schedule, t)), ring(5).weights.toarray(), atol=1e-7)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 200])
def test_cyclic_takes_turns(n):
    topologies = one_peer_exponential(n)
    schedule = Cyclic.of(topologies)
    assert isinstance(schedule, Schedule) and schedule.n == n
    jitted = jax.jit(lambda t: plan_of(schedule, t))
    for t in range(2 * len(topologies) + 1):
        made = jitted(jnp.int32(t))
        np.testing.assert_allclose(matrix(made), topologies[t % len(topologies)].weights.toarray(), atol=1e-7)


def test_cyclic_pads_slots_to_the_largest_degree():
    n = 500
    topologies = [ring(n), random_regular(n, 5), from_graph(nx.path_graph(n))]
    schedule = Cyclic.of(topologies)
    assert schedule.plans.links.weights.shape == (3, n, 5)
    for t, topology in enumerate(topologies):
        links = plan_of(schedule, t).links
        assert isinstance(links, Slots)
        np.testing.assert_array_equal(np.sum(links.used, axis=1), topology.degree)
        np.testing.assert_allclose(matrix(plan_of(schedule, t)), topology.weights.toarray(), atol=1e-7)


def test_cyclic_takes_the_form_that_suits_all():
    assert isinstance(Cyclic.of([ring(50), ring(50)]).plans.links, Circulant)
    assert isinstance(Cyclic.of([ring(50), complete(50)]).plans.links, Dense)
    assert isinstance(Cyclic.of([exponential(2), ring(3)][1:]).plans.links, Circulant)
    assert isinstance(Cyclic.of(one_peer_exponential(64)).plans.links, Slots)


def test_cyclic_keeps_groups_where_all_phases_have_them_alike():
    alike = Cyclic.of(hyper_hypercube(16, degree=3))
    assert isinstance(alike.plans.links, Groups) and alike.plans.links.members.shape == (2, 4, 4)
    # Groups of 3 and 4, groups beside a ring, and matchings by base_k: no one shape of groups.
    assert not isinstance(Cyclic.of(hyper_hypercube(12, degree=3)).plans.links, Groups)
    assert not isinstance(Cyclic.of([complete(16), ring(16)]).plans.links, Groups)
    for topologies in (hyper_hypercube(16, degree=3), hyper_hypercube(12, degree=3), base_k(150, degree=2)):
        schedule = Cyclic.of(topologies)
        expected = np.stack([topology.weights.toarray() for topology in topologies])
        np.testing.assert_allclose(matrix(schedule.plans), expected, atol=1e-6)


def test_cyclic_of_one_peer_graphs_has_one_slot_or_pairs():
    for topologies in (one_peer_exponential(64), base_k(63)):
        links = Cyclic.of(topologies).plans.links
        assert isinstance(links, Slots) and links.senders.shape == (len(topologies), topologies[0].n, 1)
    assert Cyclic.of(one_peer_hypercube(64)).plans.links.members.shape == (6, 32, 2)  # pairs that average


def test_cyclic_pads_slots_where_one_graph_would_have_hubs():
    # What hubs do not fit into slots lies elsewhere in each phase; a cycle needs one shape.
    n = 4000
    hubs = [from_graph(nx.compose(nx.path_graph(n), nx.star_graph(size))) for size in (40, 50)]
    assert isinstance(hubs[1].plan().links, Edges)
    schedule = Cyclic.of(hubs)
    for t, topology in enumerate(hubs):
        plan = plan_of(schedule, t)
        assert isinstance(plan.links, Slots) and plan.links.senders.shape == (n, 50)
        np.testing.assert_array_equal(np.sum(plan.links.used, axis=1), topology.degree)
        np.testing.assert_allclose(np.sum(plan.links.weights, axis=1) + plan.self_weights, 1, atol=1e-5)


def test_cyclic_promises_what_all_phases_keep():
    assert (Cyclic.of([ring(3), complete(3)]).plans.stochastic, Cyclic.of([ring(3), complete(3)]).plans.symmetric) == (
        "doubly",
        True,
    )
    assert (Cyclic.of([ring(3), DIRECTED]).plans.stochastic, Cyclic.of([ring(3), DIRECTED]).plans.symmetric) == (
        "column",
        False,
    )
    assert Cyclic.of([ROW, ring(3)]).plans.stochastic == "row"
    assert not Cyclic.of(one_peer_exponential(8)).plans.symmetric


@pytest.mark.parametrize(
    "pair",
    [
        (Fixed.of(random_regular(300, 4, seed=0)), Fixed.of(random_regular(300, 4, seed=1))),
        (Fixed(ring(6).plan("dense")), Fixed(random_regular(6, 3).plan("dense"))),
        (Cyclic.of(one_peer_exponential(8)), Cyclic.of(one_peer_exponential(8)[::-1])),
    ],
)
def test_two_graphs_of_one_shape_are_one_trace(pair):
    traces = 0

    @jax.jit
    def program(schedule, t):
        nonlocal traces
        traces += 1
        return plan_of(schedule, t)

    one, other = (matrix(program(schedule, jnp.int32(0))) for schedule in pair)
    assert traces == 1
    assert not np.array_equal(one, other)


def test_shapes_are_known_without_computing():
    for schedule in (Fixed.of(ring(8)), Cyclic.of(one_peer_exponential(8))):
        shape, memory = jax.eval_shape(schedule, (), jax.ShapeDtypeStruct((), jnp.int32), KEY)
        assert memory == ()
        assert isinstance(shape, Plan) and shape.self_weights.shape == (8,)


def test_leaves_are_arrays_alone():
    for schedule in (Fixed.of(ring(8)), Cyclic.of(one_peer_exponential(8))):
        assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(schedule))
    assert isinstance(Fixed.of(ring(8)), Fixed) and isinstance(Cyclic.of([ring(8)]), Cyclic)


@pytest.mark.parametrize(
    ("topologies", "sentence"),
    [
        ([], "got no topologies, a cycle needs at least one; pass [ring(n)], for example"),
        ([ring(4), ring(5)], "got topologies of n=4 and n=5, a cycle needs one n; make them all with n=5"),
        ([ROW, DIRECTED], "got row- and column-stochastic topologies, whose cycle is neither; use one kind, or"),
    ],
)
def test_refusals(topologies, sentence):
    with pytest.raises(InputError) as error:
        Cyclic.of(topologies)
    assert sentence in str(error.value)
