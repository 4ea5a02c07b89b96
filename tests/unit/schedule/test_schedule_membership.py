"""Who works, who only talks, and who is there at all: waves of pairs, and nodes that join and leave."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import schedule_cases as cases
from plan_reading import faults, matrix

from jdl.checks import InputError
from jdl.schedule import AsynchronousPairs, Churn, Fixed, Sampling
from jdl.topology import exponential, ring

KEY = jax.random.key(9)


def test_one_of_each_pair_works_and_all_pairs_are_alike(x64):
    n, wave, count = 7, 2, 4000
    plan, W, _ = cases.rounds(AsynchronousPairs(n, wave=wave), count, KEY)
    plan, W = jax.tree.map(lambda leaf: leaf[:, 0], plan), W[:, 0]
    assert not (wrong := faults(plan, 0)), wrong
    assert np.all(plan.active.sum(axis=1) == 2 * wave) and np.all(plan.works.sum(axis=1) == wave)
    partner = np.where(plan.links.used, plan.links.senders, -1)[..., 0]
    for i in range(n):
        met = partner[:, i] >= 0
        assert np.all(plan.works[met, i] != plan.works[met, partner[met, i]])
        assert not plan.works[~met, i].any()
    np.testing.assert_array_equal(W[W != 0].reshape(-1)[W[W != 0] != 1], 0.5)
    off = ~np.eye(n, dtype=bool)
    assert cases.often((W != 0).mean(axis=0)[off], np.full(off.sum(), 2 * wave / (n * (n - 1))), count)
    assert cases.often(plan.works.mean(axis=0), np.full(n, wave / n), count)


def test_edges_of_a_node_that_is_taken_are_left_out(x64):
    """Of the 15 pairs of edges of a ring of six, six share a node."""
    count = 4000
    plan = cases.rounds(AsynchronousPairs.of(ring(6), wave=2), count, KEY).plan
    pairs, works = plan.links.used[:, 0, :, 0].sum(axis=1) / 2, plan.works[:, 0]
    np.testing.assert_array_equal(works.sum(axis=1), pairs)
    assert set(pairs) == {1, 2} and cases.often(np.mean(pairs == 1), 6 / 15, count)
    linked = np.abs(plan.links.senders[:, 0, :, 0] - np.arange(6))[plan.links.used[:, 0, :, 0]]
    assert set(linked) == {1, 5}
    assert cases.often(works.mean(axis=0), np.full(6, pairs.mean() / 6), count)


def test_nodes_are_there_from_their_joining_to_their_leaving(x64):
    """Node 5 joins in round 2, node 0 leaves in round 3, node 2 is away in rounds 1 and 2."""
    T, n = 5, 6
    there = np.ones((T, n), bool)
    there[:2, 5], there[3:, 0], there[1:3, 2] = False, False, False
    joins = np.zeros((T, n), bool)
    joins[2, 5] = joins[3, 2] = True
    for graph in (ring(n), exponential(n)):
        talk = Churn.of(Fixed.of(graph), joins={5: 2, 2: 3}, leaves={0: 3, 2: 1})
        plan = jax.device_get(jax.jit(jax.vmap(lambda t, talk=talk: talk((), t, KEY)[0]))(jnp.arange(T)))
        np.testing.assert_array_equal(plan.active, there)
        np.testing.assert_array_equal(plan.joins, joins)
        assert not (wrong := faults(plan, 1e-14)), wrong
        off = ~np.eye(n, dtype=bool) & there[:, :, None] & there[:, None, :]
        np.testing.assert_allclose(matrix(plan) * ~np.eye(n, dtype=bool), graph.weights.toarray() * off, atol=1e-15)
        assert (plan.stochastic, plan.symmetric) == (("doubly", True) if graph.symmetric else ("row", False))


def test_refusals():
    with pytest.raises(InputError, match="got wave=3 with n=5, need two nodes for each pair; try wave=2"):
        AsynchronousPairs(5, wave=3)
    with pytest.raises(InputError, match="a pair needs a link both ways"):
        AsynchronousPairs.of(exponential(6))
    fixed = Fixed.of(ring(4))
    for bad, words in (
        ({"joins": {4: 1}}, "need one of n=4 nodes"),
        ({"joins": {1: 0}}, r"got joins\[1\]=0"),
        ({"joins": {1: 2}, "leaves": {1: 2}}, "joins and leaves in one round"),
    ):
        with pytest.raises(InputError, match=words):
            Churn.of(fixed, **bad)
    with pytest.raises(InputError, match="schedule with a server, need one between peers"):
        Churn.of(Sampling(4, 2))((), 0, KEY)
