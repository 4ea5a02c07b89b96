"""Roles made on the host: everybody honest, drawn at random, or given."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from jdl import checks, tree
from jdl.types import Roles

__all__ = ["attacking", "draw", "everybody_honest", "of"]

LARGEST_GROUP = 2**31 - 1  # the largest whole number of 32 bits


def everybody_honest(n: int) -> Roles:
    """The roles of a simulation that names none: all nodes are honest, and all are in group 0.

    Args:
      n: the number of nodes.

    Returns:
      The roles.

    Raises:
      InputError: if `n` is not a whole number of at least 1.

    >>> everybody_honest(3)
    Roles(honest=Array([ True,  True,  True], dtype=bool), group=Array([0, 0, 0], dtype=int32))
    """
    return of(n=n)


def draw(n: int, dishonest: float = 0.25, seed: int = 0, groups: int | None = None) -> Roles:
    """Draw the dishonest nodes, and the groups, at random.

    Args:
      n: the number of nodes.
      dishonest: the share of dishonest nodes, if it is a fraction from 0 to below 1: `round(dishonest n)` nodes are
        dishonest; or their number, if it is a whole number. At least one node is honest.
      seed: the seed of the draw.
      groups: the number of groups, whose sizes differ by at most one; None for one group.

    Returns:
      The roles. The groups do not depend on `dishonest`.

    Raises:
      InputError: if a number is out of range, or if no node would be honest.

    >>> roles = draw(8, dishonest=2, groups=4)
    >>> int(roles.honest.sum()), np.bincount(roles.group).tolist()
    (6, [2, 2, 2, 2])
    """
    return _drawn("dishonest", n, dishonest, seed, groups)


def _drawn(name: str, n: int, dishonest: Any, seed: int, groups: int | None) -> Roles:
    """The roles that `draw` draws; `name` is what the caller calls the number of dishonest nodes."""
    n = checks.whole("n", n, 1)
    rng = np.random.default_rng(checks.whole("seed", seed, 0))
    groups = 1 if groups is None else checks.whole("groups", groups, 1)
    checks.require(groups <= n, f"got groups={groups} for {n} nodes, need a node for each group; try groups={n}")
    group = rng.permutation(np.arange(n) % groups)
    honest = np.ones(n, bool)
    honest[rng.permutation(n)[: _count(name, dishonest, n)]] = False
    return of(honest, group)


def attacking(attackers: float | int | Sequence[int], n: int, seed: int = 0) -> Roles:
    """The roles of a simulation of which attackers are said in the shortest way, as in `jdl.run(attackers=0.2)`.

    Args:
      attackers: the share of the nodes that attack, below 1, or their number, both drawn at random; or a list of their
        ids.
      n: the number of nodes.
      seed: the seed of the draw.

    Returns:
      The roles, with all nodes in one group.

    Raises:
      InputError: if there are no such nodes, or if no node would be honest.

    >>> attacking([1, 2], 4).honest.tolist()
    [True, False, False, True]
    """
    if isinstance(attackers, numbers.Real):
        return _drawn("attackers", n, attackers, seed, None)
    ids = np.asarray(attackers)
    got = f"got attackers={attackers!r} of {n} nodes"
    listed = ids.ndim == 1 and (ids.dtype.kind in "iu" or ids.size == 0)
    checks.require(listed, f"{got}, need a share below 1, a number, or a list of ids; try attackers=0.2")
    there = bool(np.all((ids >= 0) & (ids < n)))
    checks.require(there and len(set(ids.tolist())) == len(ids), f"{got}, need ids from 0 to {n - 1}, each once")
    return of(~np.isin(np.arange(n), ids))


def _count(name: str, dishonest: Any, n: int) -> int:
    """The number of dishonest nodes, from their share or their number; `name` is what the caller calls it."""
    got, listed = f"got {name}={dishonest!r}", ", or a list of their ids" if name == "attackers" else ""
    number = isinstance(dishonest, numbers.Real) and not isinstance(dishonest, bool | np.bool_)
    need = f"need a share below 1, such as 0.25, or a whole number below {n}{listed}"
    checks.require(number, f"{got}, {need}; try {name}=0.25")
    whole = isinstance(dishonest, numbers.Integral)
    good = 0 <= dishonest < (n if whole else 1)  # NaN fails both comparisons
    checks.require(good, f"{got} of {n} nodes, {need}; try {name}=0.25")
    count = int(dishonest) if whole else round(float(dishonest) * n)
    checks.require(count > 0 or dishonest == 0, f"{got} of {n} nodes, which is nobody, {need}")
    checks.require(count < n, f"{got}, all of {n} nodes, need an honest one; try {name}={n - 1}")
    return count


def of(honest: Any = None, group: Any = None, n: int | None = None) -> Roles:
    """Make roles from arrays that say who is honest, and who is in which group.

    Args:
      honest: bool[n], which nodes follow the protocol; None if all do.
      group: i32[n], the group of each node, from 0; None if all nodes are in group 0.
      n: the number of nodes; it may be left out if an array is given.

    Returns:
      The roles.

    Raises:
      InputError: if an array is not of this type and shape, or if no node is honest.

    >>> of(honest=[True, False, True]).group.tolist()
    [0, 0, 0]
    """
    lengths = [len(np.atleast_1d(values)) for values in (honest, group) if values is not None]
    checks.require(n is not None or bool(lengths), "got no roles, need honest, group or n; try n=8")
    n = lengths[0] if n is None else checks.whole("n", n, 1)
    honest = np.ones(n, bool) if honest is None else np.asarray(honest)
    group = np.zeros(n, np.int32) if group is None else np.asarray(group)
    for name, values, needed, kinds in (("honest", honest, "True or False", "b"), ("group", group, "a number", "iu")):
        checks.require(
            values.shape == (n,) and values.dtype.kind in kinds,
            f"got {name} of shape {values.shape} and type {values.dtype}, need {needed} for each of {n} nodes; "
            f"give an array of shape ({n},)",
        )
    checks.require(bool(np.any(honest)), f"got no honest node of {n}, need at least one; leave honest out")
    checks.require(
        int(group.min()) >= 0 and int(group.max()) <= LARGEST_GROUP,
        f"got groups from {group.min()} to {group.max()}, need whole numbers from 0 that fit 32 bits; number them anew",
    )
    return Roles(honest=tree.copied(honest), group=tree.copied(group, np.int32))
