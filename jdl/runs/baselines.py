"""Two baselines for a run: every node learns alone, and one node learns on all data."""

from __future__ import annotations

import dataclasses

from jdl.algorithms import LocalOnly
from jdl.problems import offers
from jdl.runs.result import Result
from jdl.runs.run import run

__all__ = ["ALONE", "CENTRALISED", "baselines"]

ALONE, CENTRALISED = "alone (local-only)", "centralised, all data in one place"


def baselines(result: Result, progress: bool | None = False) -> dict[str, Result]:
    """Train every node alone, and one node on the data of all.

    Both baselines train for the same number of rounds as the run, with the rate, the local steps, the optimizer and the
    decay of its algorithm, as far as it has them. They are evaluated at the start and at the end; the nodes that train
    alone have the roles of the run, and are evaluated on their own distributions if the run is.

    Args:
      result: the run to compare with.
      progress: see `jdl.run`.

    Returns:
      The results by label, without those that were interrupted. The nodes do not train alone again if the run itself
      was local-only training; data are not pooled if the problem has no `pooled`.
    """
    problem, algorithm, rounds = result.simulation.problem, result.simulation.algorithm, int(result.sim.t)
    own = {field.name for field in dataclasses.fields(algorithm)}
    shared = {field.name for field in dataclasses.fields(LocalOnly)} & own
    local = LocalOnly(**{name: getattr(algorithm, name) for name in shared})
    problems = {} if isinstance(algorithm, LocalOnly) else {ALONE: problem}
    if "pooled" in offers.of(problem):
        problems[CENTRALISED] = problem.pooled()
    found = {}
    for name, data in problems.items():
        settings = {"rounds": rounds, "eval_every": rounds, "seed": result.seed}
        if data is problem:  # the same nodes, measured in the same way
            s = result.simulation
            settings |= {"mapping": s.placement.mapping, "own": s.metrics.own, "roles": s.roles}
        found[name] = run(data, local, **settings, progress=progress, label=name)
        if found[name].status == "interrupted":
            found.pop(name)
            break
    return found
