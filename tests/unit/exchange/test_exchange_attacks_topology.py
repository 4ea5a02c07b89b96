"""Liars about the graph, against a loop over links in NumPy."""

import attack_beds as beds
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdl
from jdl import plan as plans
from jdl import topology
from jdl.checks import InputError
from jdl.exchange import FalseDegree, Lossy
from jdl.topology.forms import to_dense
from jdl.types import Wire

N = 9
HONEST = np.array([1, 0, 1, 1, 1, 0, 1, 1, 1], bool)
# Node 0, the hub, has a liar among its neighbours; the liars have different numbers of links.
LINKS = [(0, j) for j in range(1, 7)] + [(1, 2), (1, 3), (5, 6), (6, 7), (7, 8)]
GRAPH = np.zeros((N, N), bool)
for _i, _j in LINKS:
    GRAPH[_i, _j] = GRAPH[_j, _i] = True


def metropolis(degree):
    """W in which each node computes its own row from the degrees that it is told."""
    true, W = GRAPH.sum(axis=1), np.zeros((N, N))
    for i in range(N):
        for j in range(N):
            if GRAPH[i, j]:
                lied = HONEST[i] and not HONEST[j] and degree is not None
                W[i, j] = 1 / (1 + max(true[i], degree if lied else true[j]))
        W[i, i] = 1 - W[i].sum()
    return W


def wire(W, form, scale=1.0):
    x = jnp.asarray(scale * np.random.default_rng(0).standard_normal((N, 2)))
    plan = topology.from_weights(W).plan(form)
    return Wire(x, x, jnp.full(N, 64.0), plan, plans.ids(plan), roles=jdl.roles.of(honest=HONEST))


@pytest.mark.parametrize("form", ["slots", "dense", "edges"])
def test_rows_of_the_honest_are_metropolis_weights_of_what_they_are_told(form, x64):
    given = wire(metropolis(None), form)
    degrees = np.array([0.0, 1.0, 2.5, 6.0, 30.0])

    @beds.quick
    def program(degrees, given):
        def one(degree):
            heard, _, _ = FalseDegree(degree, beds.Listening()).apply((), given, beds.KEY)
            inbox, _, _ = FalseDegree(degree).apply((), given, beds.KEY)
            return to_dense(heard.plan), inbox

        return jax.vmap(one)(degrees)

    found, inboxes = map(np.asarray, program(degrees, given))
    for degree, W, inbox in zip(degrees, found, inboxes, strict=True):
        expected = metropolis(degree)
        np.testing.assert_allclose(W, expected, atol=1e-14)
        np.testing.assert_allclose(inbox, expected @ np.asarray(given.own), atol=1e-13)
        assert np.all(np.diag(W) >= 1 / (1 + GRAPH.sum(axis=1)) - 1e-14)
    # Liar 1, of three links, gains 1/3 - 1/4 at each of two neighbours of two links; the neighbours of liar 5 have more
    # links than it has, and so it gains nothing.
    np.testing.assert_allclose(found[0].sum(axis=0)[[1, 5]], [1 + 1 / 6, 1], atol=1e-14)


def test_no_own_weight_becomes_negative_where_w_has_other_weights(x64):
    """Node 0 has three neighbours and a weight of 0.05 on itself: two liars would gain 1 / 4 - 0.2 each."""
    W = np.zeros((4, 4))
    W[0, 1:] = W[1:, 0] = 0.2, 0.2, 0.55
    W += np.diag(1 - W.sum(axis=1))
    plan, x = topology.from_weights(W).plan("dense"), jnp.zeros((4, 1))
    roles = jdl.roles.of(honest=[True, False, False, True])
    given = Wire(x, x, jnp.ones(4), plan, plans.ids(plan), roles=roles)
    program = beds.quick(lambda given: FalseDegree(0.0, beds.Listening()).apply((), given, beds.KEY)[0].plan)
    expected = W.copy()
    expected[0] = 0, 0.225, 0.225, 0.55
    np.testing.assert_allclose(to_dense(program(given)), expected, atol=1e-15)


def test_a_lost_message_gives_its_false_weight_back_and_methods_that_need_columns_are_refused():
    given, attack = wire(metropolis(None), "slots"), FalseDegree(0.0, Lossy(1.0))
    lost = beds.quick(lambda given: attack.apply(attack.init(given.own), given, beds.KEY)[0])
    np.testing.assert_allclose(lost(given), given.own, rtol=1e-6)  # nothing arrives, and rows still sum to one
    graph, roles = topology.from_weights(metropolis(None)), jdl.roles.of(honest=HONEST)
    with pytest.raises(InputError, match="'doubly_stochastic', which the network breaks"):
        parts = jdl.problems.quadratic(N, dim=2), jdl.algorithms.GradientTracking(), graph, [FalseDegree()]
        jdl.simulation(*parts, roles=roles)
