"""Run a simulation from Python: progress, evaluations, checkpoints, interruption, resumption."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping as Mapping_
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from jdl import checks
from jdl.engine.mapping import Mapping
from jdl.engine.sim import Simulation
from jdl.runs import compose
from jdl.runs.budget import Budget
from jdl.runs.cache import use_compile_cache
from jdl.runs.describe import describe, environment, part_name
from jdl.runs.driver import Driver
from jdl.runs.ending import ending
from jdl.runs.history import History
from jdl.runs.hosts import Hosts
from jdl.runs.interrupt import interruptible
from jdl.runs.message_range import check_start
from jdl.runs.pace import Pace
from jdl.runs.place import Place
from jdl.runs.program import program_of
from jdl.runs.progress import Bar
from jdl.runs.result import Result
from jdl.runs.rundir import RunDir
from jdl.types import Algorithm, Exchange, Federated, Oracle, Problem, PyTree, Roles, Wrapper

__all__ = ["run"]


def run(
    problem: Problem,
    algorithm: Algorithm | Federated,
    topology: Any = None,
    network: Sequence[Exchange] = (),
    *,
    rounds: int = 500,
    eval_every: int | None = None,
    eval_nodes: str | int = "auto",
    seed: int = 0,
    network_down: Sequence[Exchange] = (),
    oracle: Oracle | Wrapper | Sequence[Wrapper] | None = None,
    roles: Roles | None = None,
    metrics: Mapping_[str, compose.Metric] | None = None,
    own: bool = False,
    params: PyTree | None = None,
    mapping: Mapping = "auto",
    devices: int | str = "auto",
    run_dir: str | Path | Place | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    progress: bool | None = None,
    label: str | None = None,
    command: dict[str, Any] | None = None,
) -> Result:
    """Run a simulation for a number of rounds, and evaluate it on the way.

    jdl identifies your own functions (a decay, an optimizer, a model, a method of your own algorithm) by what they do:
    by their code, closure and defaults, and by the globals that they name. If one of these has changed since the last
    run, jdl compiles the program again, and it refuses to resume a run that began with the other. Whatever a function
    reads in other ways, from a file or inside a `jax.jit` of yours, is read only once, when the program is compiled.

    With `jax.distributed`, every process makes the same call. Process 0 decides when to save and to stop; it alone
    writes files, from which as many processes can resume the run, and it alone shows the progress.

    Args:
      problem: see `jdl.simulation`.
      algorithm: see `jdl.simulation`.
      topology: see `jdl.simulation`.
      network: see `jdl.simulation`.
      rounds: the number of rounds; in a round every node sends, the exchange delivers, and every node receives.
      eval_every: the number of rounds between evaluations; by default a 25th of `rounds`, and in a short run at least
        ten rounds or a fifth of them; a fifth of them in a run of more than 512 nodes whose evaluations would otherwise
        take longer than its rounds, by an estimate from sizes.
      eval_nodes: the nodes whose models are evaluated. "all" evaluates all; a number evaluates a sample of so many,
        which `seed` draws once. "auto" evaluates all of up to 512 nodes, and all of more nodes if that is estimated,
        from sizes alone, to take at most a tenth of the work of the rounds; otherwise it evaluates a sample of 256
        nodes, and all nodes at the end of the run. Where a sample is evaluated, the column `eval_nodes` has the number
        of nodes of which the mean, standard deviation, worst and best of each row are, and own metrics of the other
        nodes are NaN. The mean model and the consensus distance are those of all nodes in any case.
      seed: see `jdl.simulation`.
      network_down: see `jdl.simulation`.
      oracle: see `jdl.simulation`.
      roles: see `jdl.simulation`.
      metrics: see `jdl.simulation`. Numbers are columns of the history; of arrays [n] the mean, the standard deviation
        and the extremes are, and the arrays are kept in `history.nodes`.
      own: see `jdl.simulation`.
      params: the initial model of all nodes, or one initial model for each node, `[n, ...]`; by default one model drawn
        from `seed`, the same for all nodes.
      mapping: see `jdl.simulation`. "loop" is a Python loop without compilation; it names the node, the round and the
        step of an error, or of the first number that is not finite.
      devices: see `jdl.simulation`.
      run_dir: the directory for config.json, history.csv, nodes.csv (the metrics of every node, if there are any),
        summary.json and checkpoint/; it must be new or empty. None writes nothing.
      checkpoint_every: the number of rounds between checkpoints; by default checkpoints are written at evaluations, and
        at most every ten seconds.
      resume: continue from the newest checkpoint in `run_dir`. History and models are then the same to the last bit as
        without the interruption.
      progress: whether to show a progress bar; by default if there is a terminal or a notebook.
      label: the name of the run in the progress bar and in the result; by default the name of the algorithm.
      command: further JSON to keep in config.json.

    Returns:
      A `Result`. Divergence and interruption (Ctrl-C) do not raise: the result's `status` and `message` report them.

    Raises:
      InputError: if an argument cannot be used.

    >>> import jdl
    >>> result = jdl.run(
    ...     jdl.problems.quadratic(nodes=8),
    ...     jdl.algorithms.GradientTracking(lr=0.2),
    ...     jdl.topology.ring(8),
    ...     rounds=200,
    ... )
    >>> result.status, bool(result.history.suboptimality[-1] < 1e-5)
    ('finished', True)
    """
    rounds = checks.whole("rounds", rounds, 1)
    if eval_every is not None:
        eval_every = checks.whole("eval_every", eval_every, 1)
    if checkpoint_every is not None:
        checkpoint_every = checks.whole("checkpoint_every", checkpoint_every, 1)
    checks.require(
        run_dir is not None or not resume, "got resume=True without run_dir, need the directory; give run_dir"
    )
    use_compile_cache()
    how = {"mapping": mapping, "devices": devices, "seed": seed}
    what = {"network_down": network_down, "oracle": oracle, "roles": roles, "metrics": metrics, "own": own}
    simulation = compose.simulation(problem, algorithm, topology, network, **what, **how)
    if params is not None:
        check_start(simulation, params)
    label = label or part_name(algorithm)
    budget = Budget(simulation, rounds)
    if eval_every is None:
        eval_every = budget.every(eval_nodes)
    sample = budget.sample(eval_nodes, eval_every)
    budget.note_if_costly(sample, eval_every)
    settings = {"rounds": rounds, "eval_every": eval_every, "checkpoint_every": checkpoint_every}
    hosts = Hosts.of_jax()
    with contextlib.ExitStack() as stack:
        opened: list[RunDir] = []
        if run_dir is not None:
            place = run_dir if isinstance(run_dir, Place) else Place(run_dir)
            how = settings | ({} if sample is None else {"eval_nodes": sample._asdict()})
            config = {"command": command, "run": how, "simulation": describe(simulation), **environment()}
            hosts.once(lambda: opened.append(stack.enter_context(RunDir(place, config, resume))))
        files = opened[0] if opened else None
        shown = progress if hosts.leads else False
        with interruptible() as stop, Bar(rounds, shown, label) as bar, _eager(mapping):
            begun = time.monotonic()
            driver = Driver(program_of(simulation, params, sample), Pace(**settings), stop, bar, files, hosts)
            driver.drive()
            result = _result(driver, simulation, seed, label, driver.begun - begun)
        if files is not None:
            files.summary(result.summary)
    return result


def _result(driver: Driver, simulation: Simulation, seed: int, label: str, compile_seconds: float) -> Result:
    """What a driver has done."""
    files, at = driver.files, driver.at
    go_on = files.go_on if files is not None else None
    how = {"diverged_round": int(at.state.status), "t": at.t, "rounds": driver.pace.rounds, "go_on": go_on}
    status, message = driver.hosts.agreed(ending(simulation, rows=driver.rows, **how))
    return Result(
        name=label,
        history=History(driver.rows),
        sim=at.state,
        simulation=simulation,
        seed=seed,
        status=status,
        message=message,
        seconds=driver.seconds,
        compile_seconds=compile_seconds,
        run_dir=files.path if files is not None else None,
    )


def _eager(mapping: Mapping) -> contextlib.AbstractContextManager:
    """Switch compilation off for `mapping="loop"`."""
    return jax.disable_jit() if mapping == "loop" else contextlib.nullcontext()
