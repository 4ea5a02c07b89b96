"""Fixed and cyclic schedules: the plans they were given, in one program for every graph of one shape."""

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest

from jdl.checks import InputError
from jdl.schedule import Cyclic, Fixed, cyclic, fixed
from jdl.topology import (
    complete,
    exponential,
    from_graph,
    from_weights,
    one_peer_exponential,
    random_regular,
    ring,
    to_dense,
)
from jdl.types import Circulant, Dense, Plan, Schedule, Slots

KEY = jax.random.key(0)
DIRECTED = from_graph(nx.DiGraph([(0, 1), (1, 2), (2, 0), (0, 2)]))
ROW = from_weights([[0.5, 0.5, 0], [0.25, 0.25, 0.5], [0, 0.5, 0.5]], kind="row")


def test_fixed_is_its_plan_in_every_round():
    schedule = fixed(ring(5))
    assert isinstance(schedule, Schedule) and schedule.n == 5
    for t in (0, 7):
        np.testing.assert_allclose(to_dense(schedule(t, KEY)), ring(5).weights.toarray(), atol=1e-7)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 200])
def test_cyclic_takes_turns(n):
    topologies = one_peer_exponential(n)
    schedule = cyclic(topologies)
    assert isinstance(schedule, Schedule) and schedule.n == n
    plan_of = jax.jit(lambda t: schedule(t, KEY))
    for t in range(2 * len(topologies) + 1):
        made = plan_of(jnp.int32(t))
        np.testing.assert_allclose(to_dense(made), topologies[t % len(topologies)].weights.toarray(), atol=1e-7)


def test_cyclic_pads_slots_to_the_largest_degree():
    n = 500
    topologies = [ring(n), random_regular(n, 5), from_graph(nx.path_graph(n))]
    schedule = cyclic(topologies)
    assert schedule.plans.links.weights.shape == (3, n, 5)
    for t, topology in enumerate(topologies):
        links = schedule(t, KEY).links
        assert isinstance(links, Slots)
        np.testing.assert_array_equal(np.sum(links.used, axis=1), topology.degree)
        np.testing.assert_allclose(to_dense(schedule(t, KEY)), topology.weights.toarray(), atol=1e-7)


def test_cyclic_takes_the_form_that_suits_all():
    assert isinstance(cyclic([ring(50), ring(50)]).plans.links, Circulant)
    assert isinstance(cyclic([ring(50), complete(50)]).plans.links, Dense)
    assert isinstance(cyclic([exponential(2), ring(3)][1:]).plans.links, Circulant)
    assert isinstance(cyclic(one_peer_exponential(64)).plans.links, Slots)


def test_cyclic_promises_what_all_phases_keep():
    assert (cyclic([ring(3), complete(3)]).plans.kind, cyclic([ring(3), complete(3)]).plans.symmetric) == (
        "doubly",
        True,
    )
    assert (cyclic([ring(3), DIRECTED]).plans.kind, cyclic([ring(3), DIRECTED]).plans.symmetric) == ("column", False)
    assert cyclic([ROW, ring(3)]).plans.kind == "row"
    assert not cyclic(one_peer_exponential(8)).plans.symmetric


@pytest.mark.parametrize(
    "pair",
    [
        (fixed(random_regular(300, 4, seed=0)), fixed(random_regular(300, 4, seed=1))),
        (Fixed(ring(6).plan("dense")), Fixed(random_regular(6, 3).plan("dense"))),
        (cyclic(one_peer_exponential(8)), cyclic(one_peer_exponential(8)[::-1])),
    ],
)
def test_two_graphs_of_one_shape_are_one_trace(pair):
    traces = 0

    @jax.jit
    def matrix(schedule, t, key):
        nonlocal traces
        traces += 1
        return to_dense(schedule(t, key))

    one, other = (matrix(schedule, jnp.int32(0), KEY) for schedule in pair)
    assert traces == 1
    assert not np.array_equal(one, other)


def test_shapes_are_known_without_computing():
    for schedule in (fixed(ring(8)), cyclic(one_peer_exponential(8))):
        shape = jax.eval_shape(schedule, jax.ShapeDtypeStruct((), jnp.int32), KEY)
        assert isinstance(shape, Plan) and shape.self_weights.shape == (8,)


def test_leaves_are_arrays_alone():
    for schedule in (fixed(ring(8)), cyclic(one_peer_exponential(8))):
        assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(schedule))
    assert isinstance(fixed(ring(8)), Fixed) and isinstance(cyclic([ring(8)]), Cyclic)


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
        cyclic(topologies)
    assert sentence in str(error.value)
