"""Which numbers of each node a run keeps."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import jax

from jdl import checks
from jdl.types import Problem, PyTree

__all__ = ["kept_per_node"]

# What every problem has, beside the metrics that it evaluates.
ALWAYS = ("bits", "distance")


def kept_per_node(
    asked: bool | Collection[str],
    problem: Problem,
    model: PyTree,
    functions: tuple[tuple[str, Callable[..., Any]], ...] = (),
    own: bool = False,
) -> tuple[str, ...] | None:
    """The built-in quantities of which the number of each node is kept.

    Args:
      asked: True for all, False for none, or their names. Among the names may be those of metrics that are kept in any
        case: the user's, and those with `own=True`.
      problem: evaluates one model.
      model: the shapes of one model.
      functions: the user's own metrics, pairs of a name and a function.
      own: whether models are also evaluated on the distribution of each node.

    Returns:
      The names in one order, whatever the order of `asked`; None for none.

    Raises:
      InputError: if a name is unknown, or if a metric of the user has the same name.
    """
    if asked is False:
        return None
    evaluated = sorted(jax.eval_shape(problem.evaluate, model))
    valid = sorted((*ALWAYS, *evaluated))
    try_ = f"there are {', '.join(valid)}; give some of these names in a tuple, or True for all"
    named = isinstance(asked, Collection) and not isinstance(asked, str | bytes)
    checks.require(asked is True or named, f"got per_node={asked!r}, need True, False or names, {try_}")
    names = set(valid) if asked is True else set(asked)
    own_names, users = {f"own_{name}" for name in evaluated}, {name for name, _ in functions}
    missing = sorted(names & own_names) if not own else []
    checks.require(not missing, f"got per_node with {' and '.join(missing)} and own=False, need own=True; give it")
    unknown = " and ".join(sorted(repr(name) for name in names - {*valid, *own_names, *users}))
    checks.require(not unknown, f"got per_node with {unknown}, which is unknown, {try_}")
    found = tuple(name for name in valid if name in names)
    twice = " and ".join(name for name in found if name in users)
    both = f"got a metric named {twice}, which per_node keeps under the same name"
    checks.require(not twice, f"{both}, need different names; choose another name")
    return found or None
