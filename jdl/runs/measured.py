"""What a run measures beside the built-in metrics, from the arguments of `jdl.run`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jdl import checks
from jdl.engine.metrics import COLUMNS, Metrics
from jdl.problems import offers
from jdl.types import Problem, Roles

__all__ = ["measured"]

# Columns that a history or `Result.nodes_frame` has besides metrics.
TAKEN = {"round", "seconds", "bits_sent", "messages_sent", "node", "degree", "honest", "group"}


def measured(
    problem: Problem,
    metrics: Mapping[str, Callable[..., Any]] | None = None,
    own: bool = False,
    roles: Roles | None = None,
) -> Metrics:
    """Check the metrics that the user asks for.

    Args:
      problem: evaluates models; it offers "own" if it can do so on the distribution of one node.
      metrics: functions `(models, state, simulation) -> f[] or f[n]` by the name of their column.
      own: whether models are evaluated on the distribution of each node as well.
      roles: who is who; None if everybody is honest.

    Returns:
      The metrics, as a part of the program.

    Raises:
      InputError: if a metric is not a function, if its name is taken, or if the problem does not offer "own".
    """
    need = 'need functions by name; try metrics={"largest": lambda models, state, simulation: ...}'
    checks.require(metrics is None or isinstance(metrics, Mapping), f"got metrics={metrics!r}, {need}")
    for name, function in (metrics or {}).items():
        checks.require(isinstance(name, str) and name.isidentifier(), f"got a metric named {name!r}, {need}")
        checks.require(callable(function), f"got metric {name!r} = {function!r}, {need}")
        # A number for each node has the columns mean_NAME and std_NAME, which the built-in metrics have, too.
        taken = {*COLUMNS, *TAKEN} & {name, f"mean_{name}", f"std_{name}"}
        checks.require(not taken, f"got a metric named {name!r}, which is a column already; choose another name")
    checks.require(isinstance(own, bool), f"got own={own!r}, need True or False; try own=True")
    kind = type(problem).__name__
    checks.require(
        not own or "own" in offers.of(problem),
        f'got own=True with {kind}, which does not offer "own": it does not tell what each node meets by itself; leave '
        "own out, or give a problem whose examples are divided over the nodes, such as jdl.problems.supervised",
    )
    honest_only = roles is not None and not bool(np.all(np.asarray(roles.honest)))
    return Metrics(tuple((metrics or {}).items()), own, honest_only)
