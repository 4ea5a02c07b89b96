"""Sleepers leave W, whose rest keeps what it promises."""

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from plan_reading import all_hold, faults, matrix, rounds

from jdl import checks
from jdl.checks import InputError
from jdl.schedule import Cyclic, Fixed, Matching, Sampling, Sleeping
from jdl.schedule.epidemic_local import EpidemicLocal
from jdl.schedule.random_groups import RandomGroups
from jdl.topology import exponential, from_graph, from_weights, one_peer_exponential, random_regular, ring
from jdl.types import Schedule

KEY = jax.random.key(1)
STAR = from_graph(nx.star_graph(6))
DIRECTED = from_graph(nx.gnp_random_graph(8, 0.5, seed=0, directed=True))
ROW = from_weights(DIRECTED.weights.T, stochastic="row")
SCHEDULES = {
    "ring, rolls": lambda: Fixed(ring(8).plan("circulant")),
    "ring, slots": lambda: Fixed(ring(8).plan("slots")),
    "ring, dense": lambda: Fixed(ring(8).plan("dense")),
    "star": lambda: Fixed(STAR.plan("slots")),
    "exponential, rolls": lambda: Fixed(exponential(8).plan("circulant")),
    "exponential, slots": lambda: Fixed(exponential(8).plan("slots")),
    "column, slots": lambda: Fixed(DIRECTED.plan("slots")),
    "column, dense": lambda: Fixed(DIRECTED.plan("dense")),
    "row": lambda: Fixed(ROW.plan("slots")),
    "matching": lambda: Matching(9),
    "groups": lambda: RandomGroups.for_nodes(9, degree=3),
    "edges": lambda: EpidemicLocal(8, degree=3),
    "cyclic": lambda: Cyclic.of(one_peer_exponential(8)),
    "one node": lambda: Fixed.of(ring(1)),
}


def test_sleepers_leave_and_the_rest_keeps_its_kind(x64):
    count = 5
    keys = jax.random.split(KEY, count)

    def check(name):
        schedule = SCHEDULES[name]()

        def both(t, key):
            return Sleeping(schedule, 0.4)((), t, key)[0], schedule((), t, jax.random.split(key)[0])[0]

        plans, whole = jax.device_get(jax.jit(jax.vmap(both))(jnp.arange(count), keys))
        n, awake, W, full = schedule.n, plans.active, matrix(plans), matrix(whole)
        off = ~np.eye(n, dtype=bool)
        assert awake.shape == (count, n) and awake.dtype == bool
        assert not awake.all() or n == 1
        np.testing.assert_array_equal(W * off, full * (off & awake[:, :, None] & awake[:, None, :]))
        np.testing.assert_array_equal(plans.links.used, plans.links.weights != 0)
        assert not (wrong := faults(plans, 1e-14)), wrong

    all_hold(check, [(name,) for name in SCHEDULES])


def test_what_a_plan_with_sleepers_promises():
    def promise(schedule):
        plan = jax.eval_shape(lambda: Sleeping(schedule, 0.5)((), 0, KEY)[0])
        return plan.stochastic, plan.symmetric

    assert promise(Fixed.of(ring(8))) == ("doubly", True)
    assert promise(Matching(8)) == ("doubly", True)
    assert promise(Fixed.of(DIRECTED)) == ("column", False)
    assert promise(Fixed.of(ROW)) == ("row", False)
    assert promise(Fixed.of(exponential(16))) == ("row", False)


def test_only_half_a_promise_is_left_of_a_directed_doubly_stochastic_plan():
    # Two of three on a directed cycle: the awake receiver of a sleeper keeps weight 1, so that column 0 sums to 3/2.
    cycle = from_weights((np.eye(3) + np.roll(np.eye(3), 1, axis=1)) / 2)
    W = rounds(Sleeping(Fixed.of(cycle), 0.5), 20, KEY).W[:, 0]
    sums = np.sort(W.sum(axis=1), axis=1)
    assert any(np.allclose(columns, [0.5, 1, 1.5]) for columns in sums)


def test_each_node_sleeps_with_the_probability_and_independently():
    count = 4000
    for probability in (0.0, 0.3, 1.0):
        asleep = ~rounds(Sleeping(Fixed.of(ring(5)), probability), count, KEY).plan.active[:, 0]
        sigma = np.sqrt(count * probability * (1 - probability))
        assert np.all(np.abs(asleep.sum(axis=0) - count * probability) <= 5 * sigma), probability
        both, chance = np.sum(asleep[:, 0] & asleep[:, 1]), probability**2
        assert abs(both - count * chance) <= 5 * np.sqrt(count * chance * (1 - chance)), probability


def test_the_inner_schedule_draws_as_it_would_alone_with_its_own_key():
    inner = Matching(8)
    plan, _ = jax.jit(Sleeping(inner, 0.0).__call__)((), 0, KEY)
    alone, _ = jax.jit(inner.__call__)((), 0, jax.random.split(KEY)[0])
    np.testing.assert_array_equal(plan.links.senders, alone.links.senders)
    assert np.all(plan.active)


def test_sleeping_twice_adds_up():
    count, schedule = 4000, Sleeping(Sleeping(Fixed.of(ring(4)), 0.2), 0.5)
    plans, W, _ = rounds(schedule, count, KEY)
    W, awake, share = W[:, 0], plans.active[:, 0], 0.8 * 0.5
    sigma = np.sqrt(count * share * (1 - share))
    assert np.all(np.abs(awake.sum(axis=0) - count * share) < 5 * sigma)
    np.testing.assert_array_equal(W[~awake], np.broadcast_to(np.eye(4), W.shape)[~awake])


def test_two_probabilities_and_two_graphs_are_one_trace():
    traces = 0

    @jax.jit
    def active(schedule, t, key):
        nonlocal traces
        traces += 1
        return schedule((), t, key)[0].active

    one = active(Sleeping(Fixed.of(random_regular(300, 4, seed=0)), 0.1), jnp.int32(0), KEY)
    other = active(Sleeping(Fixed.of(random_regular(300, 4, seed=1)), 0.9), jnp.int32(0), KEY)
    assert traces == 1 and np.sum(one) > np.sum(other)


def test_a_sweep_over_probabilities_is_a_vmap():
    active = jax.jit(lambda p: Sleeping(Fixed.of(ring(6)), p)((), 0, KEY)[0].active)
    probabilities = np.array([0.0, 0.5, 1.0], np.float32)
    np.testing.assert_array_equal(jax.vmap(active)(probabilities), np.stack([active(p) for p in probabilities]))


def test_shapes_are_known_without_computing():
    shape = jax.eval_shape(Sleeping(Matching(9), 0.1), (), jax.ShapeDtypeStruct((), jnp.int32), KEY)[0]
    assert shape.active.shape == (9,) and shape.active.dtype == bool
    assert isinstance(Sleeping(Matching(9), 0.1), Schedule) and Sleeping(Matching(9), 0.1).n == 9


def test_refusals():
    with pytest.raises(InputError, match="got Sleeping over a schedule with a server, whose sample decides who takes"):
        Sleeping(Sampling(8, 2), 0.1)((), 0, KEY)
    for bad in (-0.1, 1.5, float("nan")):
        with pytest.raises(InputError, match=rf"got Sleeping.probability={bad}, need a number between 0 and 1"):
            checks.fields(Sleeping(schedule=Matching(4), probability=bad))
