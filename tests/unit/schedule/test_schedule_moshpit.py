"""Groups along the dimensions of a grid, members that fail, and the published iterations of Moshpit averaging."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import schedule_cases as cases
from plan_reading import awake, faults, matrix

from jdl import topology
from jdl.checks import InputError
from jdl.schedule import FailingGroups, Fixed, Matching, Moshpit, RandomGroups

KEY = jax.random.key(5)


@pytest.mark.parametrize("redraw", [False, True])
def test_a_full_grid_computes_the_mean_in_as_many_rounds_as_it_has_dimensions(x64, redraw):
    side, dims = 3, 3
    made, W, _ = cases.rounds(Moshpit(side**dims, side, dims, redraw), 5, KEY, 7)
    assert not (wrong := faults(made, 1e-14)), wrong
    product = lambda W, t: W[:, t + 2] @ W[:, t + 1] @ W[:, t]
    for t in range(5):
        np.testing.assert_allclose(product(W, t), 1 / side**dims, atol=1e-14)
    # Cells that stay meet in the same groups again.
    assert redraw != np.array_equal(W[:, 0], W[:, dims])


def test_groups_are_lines_of_the_grid(x64):
    n, side = 7, 3
    grid = Moshpit(n, side)
    _, W, cells = cases.rounds(grid, 400, KEY, 2)
    assert np.all(np.sort(cells[:, 0], axis=1)[:, 1:] > np.sort(cells[:, 0], axis=1)[:, :-1])
    assert cases.often(np.mean(cells[:, 0] == 4, axis=0), np.full(n, 1 / 9), 400)
    row, column = cells[:, 0] // side, cells[:, 0] % side
    for t, other in ((0, row), (1, column)):  # round 0 averages along the last digit: one row of cells is a group
        together = other[:, :, None] == other[:, None, :]
        np.testing.assert_allclose(W[:, t], together / together.sum(axis=2, keepdims=True), atol=1e-15)


@pytest.mark.parametrize("gives_up", [False, True])
def test_the_rest_of_a_group_averages_or_gives_up(x64, gives_up):
    n, p, count = 9, 0.3, 3000
    talk = FailingGroups(Fixed(topology.grouped("three", np.arange(n) // 3).plan("groups")), p, gives_up)
    made = cases.rounds(talk, count, KEY).plan
    assert not (wrong := faults(made, 1e-14)), wrong
    there, W = awake(made)[:, 0], matrix(made)[:, 0]
    groups = there.reshape(count, 3, 3)
    if gives_up:
        assert np.all(groups.all(axis=2) | ~groups.any(axis=2))
    chance = (1 - p) ** 3 if gives_up else 1 - p
    assert cases.often(there.mean(axis=0), np.full(n, chance), count)
    same = (np.arange(n)[:, None] // 3 == np.arange(n) // 3) & there[:, :, None] & there[:, None, :]
    expected = same / np.maximum(same.sum(axis=2, keepdims=True), 1) + np.eye(n) * ~there[:, :, None]
    np.testing.assert_allclose(W, expected, atol=1e-15)


def iterations(talk, fail, restarts=10, most=14):
    """Iterations until the variance of N(0, 1) scalars is below 1e-9, the mean over restarts; W is read in NumPy."""
    run = lambda key: _groups_of(FailingGroups(talk, fail), key, most)
    group, there = jax.device_get(jax.jit(jax.vmap(run))(jax.random.split(KEY, restarts)))
    took = []
    for restart in range(restarts):
        values, count = np.random.default_rng(restart).standard_normal(talk.n), 0
        while values.var() >= 1e-9:
            here, alive = group[restart, count], there[restart, count]
            total, size = (np.bincount(here[alive], weights, here.max() + 1) for weights in (values[alive], None))
            values = np.where(alive, (total / np.maximum(size, 1))[here], values)
            count += 1
        took.append(count)
    return np.mean(took)


def _groups_of(talk, key, most):
    def one(memory, inputs):
        plan, memory = talk(memory, *inputs)
        return memory, (plan.links.group, plan.active)

    first, *rest = jax.random.split(key, most + 1)
    return jax.lax.scan(one, talk.init(first), (jnp.arange(most), jnp.stack(rest)))[1]


@pytest.mark.slow
def test_scalars_settle_as_published():
    """Ryabinin et al. 2021, figure of the averaging experiments: N = 512, groups of 32, a grid of 32 x 32."""
    grid, groups = Moshpit(512, side=32), RandomGroups.for_nodes(512, degree=31)
    for fail, of_grid, of_groups in ((0.0, 8.2, 6.1), (0.005, 8.8, 6.3)):
        assert abs(iterations(grid, fail) - of_grid) <= 0.5, fail
        assert abs(iterations(groups, fail) - of_groups) <= 0.5, fail


def test_an_all_reduce_that_does_not_tolerate_failures_waits_for_a_round_without(x64):
    """Its first success has the law of a geometric variable with (1 - p)^n."""
    n, p, count = 16, 0.1, 3000
    talk = FailingGroups(Fixed(topology.complete(n).plan("groups")), p, all_or_none=True)
    done = awake(cases.rounds(talk, count, KEY).plan)[:, 0]
    assert np.all(done.all(axis=1) | ~done.any(axis=1))
    assert cases.often(done[:, 0].mean(), (1 - p) ** n, count)


def test_refusals():
    with pytest.raises(InputError, match="a grid of 64 cells for n=65 nodes, need one for each; try side=9"):
        Moshpit(65)
    with pytest.raises(InputError, match="got FailingGroups over links in Slots, need groups"):
        FailingGroups(Matching(4), 0.1)((), 0, KEY)
