"""Matchings and samples: what holds in every round, and how often each outcome is drawn."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plan_reading import matrix

from jdl.checks import InputError
from jdl.schedule import Matching, Sampling
from jdl.types import Schedule, Server

KEY, COUNT = jax.random.key(0), 6000


@functools.cache
def rounds(schedule):
    """`COUNT` independent plans at once, in NumPy, with a leading axis."""
    draw = jax.jit(jax.vmap(lambda key: schedule((), jnp.int32(0), key)[0]))
    plans = draw(jax.random.split(KEY, COUNT))
    return jax.device_get(plans)


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_every_matching_pairs_all_but_at_most_one(n):
    plans = rounds(Matching(n))
    node, partner = np.arange(n), plans.links.senders[:, :, 0]
    idle = partner == node
    np.testing.assert_array_equal(np.take_along_axis(partner, partner, axis=1), np.broadcast_to(node, partner.shape))
    np.testing.assert_array_equal(plans.links.used[:, :, 0], ~idle)
    np.testing.assert_array_equal(idle.sum(axis=1), n % 2)
    average = (np.eye(n) + np.eye(n)[partner]) / 2
    np.testing.assert_array_equal(matrix(plans), average)
    assert plans.stochastic == "doubly" and plans.symmetric and plans.active is None


def test_all_pairs_meet_equally_often():
    n = 6
    met = np.sum(matrix(rounds(Matching(n))) > 0, axis=0)
    share = 1 / (n - 1)
    pairs = met[np.triu_indices(n, 1)]
    assert np.abs(pairs - COUNT * share).max() < 5 * np.sqrt(COUNT * share * (1 - share))


def test_all_matchings_are_equally_likely():
    # 15 perfect matchings of six nodes; node 0's partner and that of the smallest other node name one.
    partners = rounds(Matching(6)).links.senders[:, :, 0]
    _, drawn = np.unique(partners, axis=0, return_counts=True)
    assert drawn.shape == (15,)
    assert np.abs(drawn - COUNT / 15).max() < 5 * np.sqrt(COUNT * (1 / 15) * (14 / 15))


def test_disagreement_shrinks_as_the_docstring_says():
    # W is a projection, so the squared disagreement left is x' (W - J) x, in expectation (n - 2) / (2 (n - 1)).
    n = 6
    x = np.array([1.0, -1, 0, 0, 2, -2])
    left = np.einsum("i,rij,j->r", x, matrix(rounds(Matching(n))), x) / (x @ x)
    assert abs(left.mean() - (n - 2) / (2 * (n - 1))) < 5 * left.std() / np.sqrt(COUNT)


def test_the_odd_one_out_is_anybody():
    idle = np.sum(~rounds(Matching(5)).links.used[:, :, 0], axis=0)
    assert np.abs(idle - COUNT / 5).max() < 5 * np.sqrt(COUNT * 0.2 * 0.8)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 1), (7, 3), (4, 4)])
def test_every_sample_is_without_replacement_and_in_order(n, m):
    plans = rounds(Sampling(n, m))
    assert plans.participants.shape == (COUNT, m) and plans.participants.dtype == jnp.int32
    assert np.all(np.diff(plans.participants, axis=1) > 0)
    assert np.min(plans.participants) >= 0 and np.max(plans.participants) < n
    assert isinstance(plans.links, Server) and plans.stochastic == "row" and not plans.symmetric
    np.testing.assert_array_equal(plans.links.weights, np.ones((COUNT, m)))
    np.testing.assert_array_equal(plans.links.used, np.ones((COUNT, m), bool))
    np.testing.assert_array_equal(plans.self_weights, np.zeros((COUNT, m)))


def test_every_node_and_every_pair_is_sampled_equally_often():
    n, m = 7, 3
    chosen = rounds(Sampling(n, m)).participants
    taken = (chosen[:, :, None] == np.arange(n)).any(axis=1).astype(int)
    together = taken.T @ taken
    for times, share in ((np.diag(together), m / n), (together[np.triu_indices(n, 1)], m * (m - 1) / (n * (n - 1)))):
        assert np.abs(times - COUNT * share).max() < 5 * np.sqrt(COUNT * share * (1 - share))


@pytest.mark.parametrize("schedule", [Matching(6), Sampling(6, 2)], ids=["matching", "sampling"])
def test_key_decides_and_round_does_not(schedule):
    @jax.jit
    def draw(t, key):
        plan, _ = schedule((), t, key)
        return plan.links.senders if plan.participants is None else plan.participants

    np.testing.assert_array_equal(draw(0, KEY), draw(5, KEY))
    others = [draw(0, key) for key in jax.random.split(KEY, 20)]
    assert any(not np.array_equal(others[0], other) for other in others)
    assert isinstance(schedule, Schedule) and schedule.n == 6


def test_ids_stay_32_bit_in_double_precision(x64):
    pairs, sample = (jax.eval_shape(one, (), 0, KEY)[0] for one in (Matching(4), Sampling(4, 2)))
    assert pairs.links.senders.dtype == sample.participants.dtype == jnp.int32
    assert pairs.self_weights.dtype == jnp.float64


def test_shapes_are_known_without_computing():
    t = jax.ShapeDtypeStruct((), jnp.int32)
    assert jax.eval_shape(Matching(9), (), t, KEY)[0].links.senders.shape == (9, 1)
    assert jax.eval_shape(Sampling(9, 4), (), t, KEY)[0].participants.shape == (4,)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Matching(0), "got n=0, need a whole number of at least 1; try n=1"),
        (lambda: Sampling(0, 1), "got n=0, need a whole number of at least 1; try n=1"),
        (lambda: Sampling(5, 0), "got participants=0, need a whole number of at least 1; try participants=1"),
        (lambda: Sampling(5, 6), "got participants=6 with n=5, a sample needs at most n; try participants=5"),
        (lambda: Sampling(5, 0.5), "got participants=0.5, need a whole number of at least 1"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(InputError) as error:
        make()
    assert sentence in str(error.value)
