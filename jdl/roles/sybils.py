"""Liars of whom several are one mind."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.roles.roles import of
from jdl.types import Roles

__all__ = ["sybils"]


def sybils(n: int, names: int = 2, minds: int = 1, seed: int = 0) -> Roles:
    """Draw sybils: some attackers, each of whom controls several of the n nodes.

    The nodes of one mind are one group of the roles, from 1 to `minds`; honest nodes are in group 0. The exchange
    `jdl.exchange.Sybil` makes the liars of each group send the same message, and `jdl.oracle.DBA` gives each group a
    part of one trigger.

    Args:
      n: the number of nodes.
      names: the number of nodes that each mind controls, at least 1.
      minds: the number of attackers, at least 1.
      seed: the seed of the draw.

    Returns:
      The roles, in which `names minds` nodes are dishonest.

    Raises:
      InputError: if a number is out of range, or if no node would be honest.

    >>> roles = sybils(8, names=3, minds=2)
    >>> int(roles.honest.sum()), np.bincount(roles.group).tolist()
    (2, [2, 3, 3])
    """
    n, seed = checks.whole("n", n, 1), checks.whole("seed", seed, 0)
    names, minds = checks.whole("names", names, 1), checks.whole("minds", minds, 1)
    got = f"got names={names} of each of minds={minds} among {n} nodes, need an honest node"
    checks.require(names * minds < n, f"{got}; try n={names * minds + 1}")
    group = np.zeros(n, np.int32)
    chosen = np.random.default_rng(seed).permutation(n)[: names * minds]
    group[chosen] = 1 + np.arange(names * minds) % minds
    return of(group == 0, group)
