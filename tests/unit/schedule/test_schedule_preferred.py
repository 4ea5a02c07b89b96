"""Neighbours that are kept more often than by chance: the sums by hand, whom nodes hear, and planted clusters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import schedule_cases as cases
from plan_reading import faults

import jdl
from jdl.checks import InputError
from jdl.engine import sim as simulator
from jdl.schedule import Preferred
from jdl.types import Seen

KEY = jax.random.key(6)


def test_sums_are_those_of_choices_beyond_chance(x64):
    n, talk = 4, Preferred(4, candidates=3, acquaint=2)
    call = jax.jit(lambda memory, t, seen: talk(memory, t, KEY, seen)[1])
    kept = np.array([[1.0, 0, 1], [0, 0, 0], [1, 1, 0], [1, 0, 0]])
    who = np.array([[1, 2, 3], [0, 2, 3], [3, -1, 0], [0, 1, 2]], np.int32)
    heard = jnp.array([True, True, True, False])
    expected = np.zeros((n, n))
    expected[0, [1, 2, 3]] = [1 / 3, -2 / 3, 1 / 3]
    expected[2, [3, 0]] = [0.5, -0.5]  # two were heard, and one of them was kept
    seen = Seen({"kept": jnp.asarray(kept), "neighbours": jnp.asarray(who)}, heard, None)
    memory = call(talk.init(KEY), 1, seen)
    np.testing.assert_allclose(memory, expected, atol=1e-15)
    memory = call(memory, 2, seen)
    np.testing.assert_allclose(memory, 2 * expected, atol=1e-15)
    np.testing.assert_array_equal(call(memory, 3, seen), memory)  # later choices count nothing


def test_at_first_anybody_is_heard_and_then_the_preferred_alone(x64):
    n, count = 6, 4000
    sums = np.full((n, n), -1.0)
    sums[1, 4], sums[2, [0, 5]], sums[3, [0, 1, 2, 4]] = 0.5, [0.1, 2.0], 1.0
    talk = Preferred(n, candidates=3, listen=2, acquaint=5)

    @jax.jit
    @jax.vmap
    def plans_of(key, t):
        return talk(jnp.asarray(sums), t, key)[0]

    keys, off = jax.random.split(KEY, count), ~np.eye(n, dtype=bool)
    for t in (4, 5):
        plan = jax.device_get(plans_of(keys, jnp.full(count, t, jnp.int32)))
        assert not (wrong := faults(plan, 1e-14)), wrong
        counts = np.zeros((n, n))
        row = np.broadcast_to(np.arange(n)[None, :, None], plan.links.senders.shape)
        np.add.at(counts, (row[plan.links.used], plan.links.senders[plan.links.used]), 1)
        shares = counts / count
        chance = 3 / (n - 1) * off
        if t == 4:
            assert cases.often(shares, chance, count)
            continue
        chance[1:4] = 0
        chance[1, 4], chance[2, [0, 5]], chance[3, [0, 1, 2, 4]] = 1, 1, 0.5
        assert cases.often(shares, chance, count)  # who prefers nobody goes on as before


def test_pens_finds_planted_clusters():
    """Two clusters with optima far apart: afterwards links lie within them, and models end at their optima."""
    n, rounds, cluster = 10, 40, np.arange(10) % 2
    problem = jdl.problems.quadratic(n, 3, condition=2.0, heterogeneity=0.0)
    target = np.float32(4.0 * np.array([[1, 0, 0], [-1, 0, 0]]))[cluster]
    problem = problem.replace(b=jnp.einsum("nij,nj->ni", problem.A, jnp.asarray(target)))
    talk = Preferred(n, candidates=4, listen=2, acquaint=rounds)
    built = jdl.simulation(problem, jdl.algorithms.PENS(lr=0.5, keep=2), talk, mapping="vmap")

    @jax.jit
    def run(built):
        state = simulator.advance(built, simulator.init(built, None), rounds + 40)[0]
        keys = jax.random.split(KEY, 50)
        heard = jax.vmap(lambda key: built.schedule(state.schedule_state, rounds + 40, key)[0].links)(keys)
        return heard, simulator.models(built, state)

    links, models = jax.device_get(run(built))
    hearer = np.broadcast_to(np.arange(n)[None, :, None], links.senders.shape)[links.used]
    assert np.all(cluster[hearer] == cluster[links.senders[links.used]])
    assert len(hearer) > 50 * n
    np.testing.assert_allclose(models, target, atol=1e-3)


def test_refusals():
    with pytest.raises(InputError, match="try candidates=3"):
        Preferred(4)
    with pytest.raises(InputError, match="try listen=2"):
        Preferred(4, candidates=2, listen=3)
    with pytest.raises(InputError, match="watches 'kept', DPSGD reports"):
        jdl.run(jdl.problems.quadratic(6), jdl.algorithms.DPSGD(), Preferred(6))
