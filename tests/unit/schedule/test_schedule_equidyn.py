"""EquiTopo's dynamic graphs: the authors' greedy matching, and expectations by enumeration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import schedule_cases as cases
from plan_reading import matrix

from jdl import checks
from jdl.checks import InputError
from jdl.schedule.equidyn import Equidyn, shift_matching

KEY, COUNT = jax.random.key(0), 4000


def greedy(n, shift, start):
    """Everybody's partner when nodes from `start` on take the one `shift` further on, if both are free."""
    partner = list(range(n))
    for i in [*range(start, n), *range(start)]:
        j = (i + shift) % n
        if partner[i] == i and partner[j] == j:
            partner[i], partner[j] = j, i
    return partner


@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 9, 13])
def test_the_matching_is_the_greedy_one(n):
    pairs = np.array([(shift, start) for shift in range(1, n) for start in range(n)], np.int32)
    made = jax.jit(jax.vmap(lambda pair: shift_matching(n, pair[0], pair[1])))(pairs)
    np.testing.assert_array_equal(made, [greedy(n, *pair) for pair in pairs.tolist()])


@pytest.mark.parametrize(("n", "eta"), [(2, 0.5), (5, 0.5), (6, 1.0), (7, 0.3)])
def test_directed_rounds_leave_what_the_closed_form_says(x64, n, eta):
    x, schedule = cases.centred(n), Equidyn.for_nodes(n, directed=True, eta=eta)
    np.testing.assert_array_equal(schedule.shifts, np.arange(1, n))
    one = jax.jit(jax.vmap(lambda shift: schedule.replace(shifts=shift[None])((), 0, KEY)[0]))
    W = matrix(one(schedule.shifts))
    shift = np.roll(np.eye(n), 1, axis=1)
    for u in range(1, n):
        basis = np.eye(n) / n + (n - 1) / n * np.linalg.matrix_power(shift, u)
        np.testing.assert_allclose(W[u - 1], (1 - eta) * np.eye(n) + eta * basis, atol=1e-15)
    np.testing.assert_allclose(W.mean(axis=0), (1 - eta) * np.eye(n) + eta / n, atol=1e-14)
    assert abs(cases.left(W, x).mean() - ((1 - eta) ** 2 + eta**2 * (n - 2) / n)) < 1e-13


def test_the_default_eta_is_the_useful_one():
    # Trap TR7: eta = 1 leaves (n - 2) / n, one half leaves (n - 1) / (2 n).
    assert Equidyn.for_nodes(8).eta == 0.5
    _, W, _ = cases.rounds(Equidyn.for_nodes(9, directed=True), COUNT, KEY)
    assert cases.close(cases.left(W[:, 0], cases.centred(9)), 4 / 9)


@pytest.mark.parametrize("n", [2, 5, 8])
def test_undirected_rounds_are_drawn_from_all_greedy_matchings(n):
    x, a = cases.centred(n), 0.5 * (n - 1) / n
    _, W, _ = cases.rounds(Equidyn.for_nodes(n), COUNT, KEY)
    matchings = [np.eye(n)[greedy(n, shift, start)] for shift in range(1, n) for start in range(n)]
    possible = (1 - a) * np.eye(n) + a * np.array(matchings)
    expected = cases.left(possible, x).mean()
    assert cases.close(cases.left(W[:, 0], x), expected)
    chance = np.mean([matching != np.eye(n) for matching in matchings], axis=0)
    assert cases.often((W[:, 0] * (1 - np.eye(n)) > 0).mean(axis=0), chance * (1 - np.eye(n)), COUNT)


def test_shifts_come_from_the_basis_alone():
    schedule = Equidyn.for_nodes(11, degree=3, directed=True, seed=4)
    assert schedule.shifts.shape == (3,) and schedule.shifts.dtype == jnp.int32
    np.testing.assert_array_equal(schedule.shifts, Equidyn.for_nodes(11, degree=3, seed=4).shifts)
    made, _, _ = cases.rounds(schedule, 300, KEY)
    drawn = (made.links.senders[:, 0, 0, 0]) % 11
    assert set(drawn.tolist()) == set(np.asarray(schedule.shifts).tolist())


def test_a_sweep_over_eta_is_a_vmap_and_seeds_share_a_program():
    schedule = Equidyn.for_nodes(6, degree=2)
    etas = jnp.array([0.0, 0.5, 1.0])
    own = jax.jit(jax.vmap(lambda eta: schedule.replace(eta=eta)((), 0, KEY)[0].self_weights))(etas)
    np.testing.assert_allclose(own[:, 0], [1, 1 - 5 / 12, 1 / 6], rtol=1e-6)
    structures = {jax.tree.structure(Equidyn.for_nodes(6, degree=2, seed=seed)) for seed in range(3)}
    assert len(structures) == 1


def test_refusals():
    with pytest.raises(InputError, match="got degree=0, need a whole number of at least 1"):
        Equidyn.for_nodes(5, degree=0)
    with pytest.raises(InputError, match=r"got Equidyn.eta=1.5, need a number between 0 and 1; try Equidyn.eta=0.5"):
        checks.fields(Equidyn.for_nodes(5, eta=1.5))
