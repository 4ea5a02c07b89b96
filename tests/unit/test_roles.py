"""Roles: counts and sizes of groups in closed form; what is no role is refused."""

import numpy as np
import pytest

from jdl import checks, roles


@pytest.mark.parametrize(("dishonest", "count"), [(0.25, 3), (0.0, 0), (4, 4), (np.float32(0.5), 6), (np.int64(1), 1)])
def test_as_many_are_dishonest_as_asked_for(dishonest, count):
    drawn = roles.draw(12, dishonest, seed=3)
    assert drawn.honest.dtype == bool and drawn.group.dtype == np.int32
    assert int((~np.asarray(drawn.honest)).sum()) == count and not np.any(drawn.group)


def test_every_node_is_dishonest_equally_often():
    """Of 400 draws of 2 of 8 nodes, each node is in a quarter, to within five standard errors of a binomial."""
    times = sum(~np.asarray(roles.draw(8, 2, seed).honest) for seed in range(400))
    assert np.all(np.abs(times - 100) < 5 * np.sqrt(400 * 0.25 * 0.75))


def test_groups_are_balanced_and_independent_of_the_dishonest():
    few, many = roles.draw(11, 1, seed=5, groups=3), roles.draw(11, 6, seed=5, groups=3)
    np.testing.assert_array_equal(few.group, many.group)
    assert sorted(np.bincount(few.group).tolist()) == [3, 4, 4]
    assert not np.array_equal(few.group, roles.draw(11, 1, seed=6, groups=3).group)


def test_roles_as_given_and_by_default():
    given = roles.of(honest=[True, False], group=np.array([1, 0], np.uint8))
    assert given.honest.tolist() == [True, False] and given.group.tolist() == [1, 0]
    everybody = roles.everybody_honest(4)
    assert everybody.honest.tolist() == [True] * 4 and everybody.group.tolist() == [0] * 4


def test_attackers_are_a_share_a_number_or_ids():
    assert np.array_equal(roles.attacking(0.25, 8).honest, roles.draw(8, 0.25).honest)
    assert int(roles.attacking(3, 8).honest.sum()) == 5
    assert roles.attacking(np.array([0, 3]), 4).honest.tolist() == [False, True, True, False]
    assert roles.attacking([], 3).honest.tolist() == [True] * 3


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: roles.attacking([1, 1], 4), r"got attackers=\[1, 1\] of 4 nodes, need ids from 0 to 3, each once"),
        (lambda: roles.attacking([4], 4), "need ids from 0 to 3"),
        (
            lambda: roles.attacking("few", 4),
            "got attackers='few' of 4 nodes, need a share below 1, a number, or a list",
        ),
        (
            lambda: roles.attacking(6, 6),
            "got attackers=6 of 6 nodes, need a share below 1, such as 0.25, or a whole number below 6, or a list",
        ),
        (lambda: roles.attacking(True, 6), "got attackers=True, need a share below 1.*; try attackers=0.25"),
        (lambda: roles.attacking(0.99, 6), "got attackers=0.99, all of 6 nodes, need an honest one; try attackers=5"),
        (lambda: roles.of(), "got no roles, need honest, group or n"),
        (lambda: roles.of(honest=[1, 0]), "got honest of shape .* and type int64, need True or False for each of 2"),
        (lambda: roles.of(honest=[True], n=3), r"got honest of shape \(1,\).* each of 3 nodes; give an array of shape"),
        (lambda: roles.of(group=[0.5, 1.0]), "got group of .* float64, need a number for each of 2"),
        (lambda: roles.of(group=[0, -1]), "got groups from -1 to 0, need whole numbers from 0"),
        (lambda: roles.of(honest=[False, False]), "got no honest node of 2"),
        (lambda: roles.draw(4, 4), "got dishonest=4 of 4 nodes, need a share below 1"),
        (lambda: roles.draw(4, 0.95), "got dishonest=0.95, all of 4 nodes, need an honest one; try dishonest=3"),
        (lambda: roles.draw(6, 0.01), "got dishonest=0.01 of 6 nodes, which is nobody, need a share below 1"),
        (lambda: roles.draw(4, True), "got dishonest=True, need a share"),
        (lambda: roles.draw(4, float("nan")), "got dishonest=nan of 4 nodes"),
        (lambda: roles.draw(4, groups=5), "got groups=5 for 4 nodes, need a node for each group; try groups=4"),
        (lambda: roles.everybody_honest(0), "got n=0, need a whole number of at least 1"),
    ],
)
def test_what_is_no_role_is_refused(make, sentence):
    with pytest.raises(checks.InputError, match=sentence):
        make()
