"""What every schedule promises of its plans, in every round, for every key."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import plan_reading
import pytest
import schedule_cases as cases

from jdl import checks
from jdl import plan as plans
from jdl.types import Groups, Schedule

KEY = jax.random.key(3)
EVERY = cases.EACH | cases.SMALL
# Of networks of one and of two nodes one size is drawn; the other, and three nodes, run with the slow checks.
SIZE = str(1 + int(os.environ["JDL_TEST_SEED"]) % 2)
REST = [name for name in cases.SMALL if {"1", "2", "3"} & {*name.split()} and SIZE not in name.split()]
KEPT = {"random_walk", "random_walk_of", "teleportation", "markov", "markov_links", "peer_swap", "peer_swap_of"}
KEPT |= {"mobility", "modest", "moshpit", "preferred", "ticks"}


def plans_are_what_they_claim(names):
    count, length = 40, 4

    def check(name):
        schedule = EVERY[name]()
        n, (made, W, memory) = schedule.n, cases.rounds(schedule, count, KEY, length)
        np.testing.assert_array_equal(cases.rounds(schedule, count, KEY, length).W, W)
        assert n < 4 or np.unique(W.reshape(-1, n * n), axis=0).shape[0] > 3
        assert isinstance(schedule, Schedule)
        assert W.shape == (count, length, n, n) and W.dtype == np.float64
        assert not (wrong := plan_reading.faults(made, 1e-14)), wrong
        assert all(leaf.dtype in (np.float64, np.int32, bool) for leaf in jax.tree.leaves((made, memory)))
        links = plan_reading.named(made)
        # An on/off link (or a dense one) keeps its place in the list while it is off; elsewhere a slot points home.
        if not name.startswith(("markov", "mobility")) and not isinstance(made.links, Groups):
            np.testing.assert_array_equal(links.senders[~links.used], links.receivers[~links.used])
        assert np.all(links.senders[links.used] != links.receivers[links.used])

    cases.all_hold(check, [(name,) for name in names])


def test_plans_are_what_they_claim(x64):
    plans_are_what_they_claim([name for name in EVERY if name not in REST])


@pytest.mark.slow
def test_plans_of_the_other_small_networks_are_what_they_claim(x64):
    plans_are_what_they_claim(REST)


def test_memory_keeps_its_shape_and_nothing_is_computed_to_know_it():
    def check(name):
        schedule = EVERY[name]()
        before = jax.eval_shape(schedule.init, KEY)
        plan, after = jax.eval_shape(schedule, before, jax.ShapeDtypeStruct((), jnp.int32), KEY)
        assert before == after
        assert plans.rows(plan) == schedule.n
        checks.fields(schedule)
        assert name not in cases.EACH or bool(jax.tree.leaves(before)) == (name.split()[0] in KEPT)

    cases.all_hold(check, [(name,) for name in EVERY])
