"""How a run compares: the same learning alone, and on all data in one place."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from jdl.algorithms import LocalOnly
from jdl.runs.result import Result
from jdl.runs.run import run
from jdl.types import Poolable

if TYPE_CHECKING:
    pass

__all__ = ["ALONE", "CENTRALISED", "baselines"]

ALONE, CENTRALISED = "alone (local-only)", "centralised, all data in one place"


def baselines(result: Result, progress: bool | None = False) -> dict[str, Result]:
    """What the nodes of a run would have learnt alone, and one node with all their data.

    Local-only training of as many rounds, with the rate, local steps, optimizer and decay of the run's own algorithm
    where it has them; evaluated at start and end.

    Args:
      result: the run to compare with.
      progress: see `jdl.run`.

    Returns:
      By label; without those that were interrupted. Learning alone is left out if that is what the run did.
    """
    problem, algorithm, rounds = result.simulation.problem, result.simulation.algorithm, int(result.sim.t)
    own = {field.name for field in dataclasses.fields(algorithm)}
    shared = {field.name for field in dataclasses.fields(LocalOnly)} & own
    local = LocalOnly(**{name: getattr(algorithm, name) for name in shared})
    problems = {} if isinstance(algorithm, LocalOnly) else {ALONE: problem}
    if isinstance(problem, Poolable):
        problems[CENTRALISED] = problem.pooled()
    found = {}
    for name, data in problems.items():
        mapping = result.simulation.mapping if data is problem else "auto"
        settings = {"rounds": rounds, "eval_every": rounds, "seed": result.seed, "mapping": mapping}
        found[name] = run(data, local, **settings, progress=progress, label=name)
        if found[name].status == "interrupted":
            found.pop(name)
            break
    return found
