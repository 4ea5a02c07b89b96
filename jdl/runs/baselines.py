"""Two baselines for a run: every node learns alone, and one node learns on all data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from jdl.algorithms import LocalOnly
from jdl.engine.sim import Simulation
from jdl.problems import offers
from jdl.runs.planned import rounds_of_a_node
from jdl.runs.result import Result
from jdl.runs.results import Results
from jdl.runs.run import run

__all__ = ["ALONE", "CENTRALISED", "baselines"]

ALONE, CENTRALISED = "alone (local-only)", "centralised, all data in one place"


def baselines(result: Result | Results, progress: bool | None = False) -> dict[str, Any]:
    """Train every node alone, and one node on the data of all.

    Both baselines train for the same number of rounds as the run, with the rate, the local steps, the optimizer and the
    decay of its algorithm, as far as it has them. Beside events that were planned in time, whose rounds are waves or
    arrivals, they train for as many rounds as a node of the run works in the mean. They are evaluated at the start and
    at the end; the nodes that train alone have the roles of the run, and are evaluated on their own distributions if
    the run is.

    Args:
      result: the run to compare with, of one seed or of several, which the baselines then have too.
      progress: see `jdl.run`.

    Returns:
      The results by label, of the type of `result`, without those that were interrupted. The nodes do not train alone
      again if the run itself was local-only training; data are not pooled if the problem has no `pooled`. Beside a run
      of no rounds there is nothing.

    Raises:
      InputError: if the result was loaded, and the parts of its run are not known.
    """
    several = list(result) if isinstance(result, Results) else [result]
    made = {one.seed: one.simulation for one in several}
    first = several[0].simulation
    own = {field.name for field in dataclasses.fields(first.algorithm)}
    shared = {field.name for field in dataclasses.fields(LocalOnly)} & own
    local = LocalOnly(**{name: getattr(first.algorithm, name) for name in shared})
    problems = {} if isinstance(first.algorithm, LocalOnly) else {ALONE: lambda s: s.problem}
    if "pooled" in offers.of(first.problem):
        problems[CENTRALISED] = lambda s: s.problem.pooled()
    rounds = max(one.rounds for one in several)
    rounds = rounds and rounds_of_a_node(first.schedule, rounds)
    if not rounds:  # the run had reached its goal before it began
        return {}
    seeds = {"seed": result.seed} if isinstance(result, Result) else {"seeds": [one.seed for one in several]}
    found = {}
    for name, data in problems.items():
        settings = {"rounds": rounds, "eval_every": rounds, **seeds}
        if name == ALONE:  # the same nodes, measured in the same way
            settings |= {"mapping": first.placement.mapping, "own": first.metrics.own}
            settings["roles"] = _part(made, lambda s: s.roles)
        found[name] = run(_part(made, data), local, **settings, progress=progress, label=name)
        if found[name].status == "interrupted":
            found.pop(name)
            break
    return found


def _part(made: dict[int, Simulation], of: Callable[[Simulation], Any]) -> Any:
    """A part of the simulations by seed: itself if all have the same, otherwise a function of the seed."""
    first, *others = made.values()
    name = lambda s: (id(s.problem), id(s.roles))
    if all(name(one) == name(first) for one in others):
        return of(first)
    return lambda seed: of(made[seed])
