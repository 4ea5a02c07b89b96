"""`jdl.load`: the result of a run from its directory. The command line knows how to make the parts of its own runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jdl import checks
from jdl.runs import load as stored
from jdl.runs.result import Result
from jdl.runs.results import Results
from jdl.types import Algorithm, Federated, Problem

__all__ = ["load"]


def load(
    run_dir: str | Path,
    problem: Problem | None = None,
    algorithm: Algorithm | Federated | None = None,
    topology: Any = None,
    network: Any = (),
    **parts: Any,
) -> Result | Results:
    """Give the result of a run again, from its directory: history, metrics of nodes, status, models.

    A run that goes on, or that was killed, can be loaded too, with the evaluations up to now. The simulation and the
    last state are made when they are first asked for, where the run was made from the command line. For a run that was
    made from Python, give its parts again; they are checked against the description in the directory.

    Args:
      run_dir: the directory that was given to `jdl.run`, or that `jdl run` made.
      problem: that of the run, see `jdl.simulation`; a function of the seed where the run had one.
      algorithm: that of the run.
      topology: that of the run.
      network: that of the run.
      parts: further arguments of `jdl.simulation` by name.

    Returns:
      A `Result`; `Results` for a run of several seeds.

    Raises:
      InputError: if there is no run in the directory, if its configuration is damaged, or if the parts are not those of
        the run.

    >>> import tempfile
    >>> import jdl
    >>> parts = {"problem": jdl.problems.quadratic(nodes=8), "algorithm": jdl.algorithms.DPSGD(lr=0.1)}
    >>> parts["topology"] = jdl.topology.ring(8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = jdl.run(**parts, rounds=20, run_dir=folder)
    ...     again = jdl.load(folder)
    >>> again.status, len(again.history) == len(result.history)
    ('finished', True)
    """
    given = {"problem": problem, "algorithm": algorithm, "topology": topology}
    given = {name: part for name, part in given.items() if part is not None} | ({"network": network} if network else {})
    odd = sorted(parts.keys() - set(stored.TAKEN))
    need = f"need those of jdl.simulation that say what is run: {', '.join(stored.TAKEN)}; leave it out"
    checks.require(not odd, f"got {odd[:1]}, no argument of jdl.load, {need}")
    given |= parts
    whole = not given or {"problem", "algorithm"} <= given.keys()
    need = "need the problem and the algorithm as well; give all parts of the run, or none"
    checks.require(whole, f"got {', '.join(given)}, {need}")
    return stored.load(run_dir, given or None, _made)


def _made(command: dict[str, Any]) -> dict[str, Any]:
    from jdl.command.record import build

    return build(command)
