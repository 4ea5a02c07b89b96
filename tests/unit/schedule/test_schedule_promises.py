"""What every schedule promises of its plans, in every round, for every key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import schedule_cases as cases

from jdl import checks
from jdl import plan as plans
from jdl.types import Groups, Schedule

KEY = jax.random.key(3)
EVERY = cases.EACH | cases.SMALL


@pytest.mark.parametrize("name", EVERY)
def test_plans_are_what_they_claim(x64, name):
    schedule = EVERY[name]()
    n, count, length = schedule.n, 40, 4
    run, keys = cases.runs(schedule, length), jax.random.split(KEY, count)
    made, W, memory = run(keys)
    np.testing.assert_array_equal(run(keys)[1], W)
    assert n < 4 or np.unique(W.reshape(-1, n * n), axis=0).shape[0] > 3
    assert isinstance(schedule, Schedule)
    assert W.shape == (count, length, n, n) and W.dtype == np.float64
    if made.stochastic in ("doubly", "row"):
        np.testing.assert_allclose(W.sum(axis=3), 1, rtol=0, atol=1e-14)
    if made.stochastic in ("doubly", "column"):
        np.testing.assert_allclose(W.sum(axis=2), 1, rtol=0, atol=1e-14)
    if made.symmetric:
        np.testing.assert_allclose(W, W.swapaxes(2, 3), rtol=0, atol=1e-15)
    if made.active is not None:
        asleep = ~made.active
        np.testing.assert_array_equal(W[asleep], np.broadcast_to(np.eye(n), W.shape)[asleep])
        np.testing.assert_array_equal(W.swapaxes(2, 3)[asleep], np.broadcast_to(np.eye(n), W.shape)[asleep])
    links = made.links
    ids = jax.tree.leaves((made.links, memory))
    assert all(leaf.dtype in (np.float64, np.int32, bool) for leaf in ids)
    if isinstance(links, Groups):
        return
    flat = jax.tree.map(lambda leaf: leaf.reshape(count * length, *leaf.shape[2:]), made)
    ends = jax.vmap(lambda plan: (plans.senders(plan.links), plans.receivers(plan.links)))(flat)
    who, to = (np.asarray(end).reshape(links.used.shape) for end in ends)
    assert np.all(links.weights[~links.used] == 0)
    # An on/off link (or a dense one) keeps its place in the list while it is off; elsewhere a slot points home.
    if not name.startswith(("markov", "mobility")):
        np.testing.assert_array_equal(who[~links.used], to[~links.used])
    assert np.all(who[links.used] != to[links.used])


@pytest.mark.parametrize("name", EVERY)
def test_memory_keeps_its_shape_and_nothing_is_computed_to_know_it(name):
    schedule = EVERY[name]()
    before = jax.eval_shape(schedule.init, KEY)
    plan, after = jax.eval_shape(schedule, before, jax.ShapeDtypeStruct((), jnp.int32), KEY)
    assert before == after
    assert plans.rows(plan) == schedule.n
    checks.fields(schedule)


@pytest.mark.parametrize("name", cases.EACH)
def test_independent_rounds_have_no_memory(name):
    schedule = cases.EACH[name]()
    kept = {"random_walk", "teleportation", "markov", "markov_links", "peer_swap", "mobility", "peer_swap_of"}
    kept |= {"random_walk_of"}
    assert bool(jax.tree.leaves(schedule.init(KEY))) == (name.split()[0] in kept)
