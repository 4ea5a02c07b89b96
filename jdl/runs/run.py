"""Run a simulation from Python: progress, evaluations, checkpoints, interruption, resumption."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Sequence
from collections.abc import Mapping as Mapping_
from pathlib import Path
from typing import Any

import jax

from jdl import checks
from jdl.clock import Clock
from jdl.engine.mapping import Mapping
from jdl.engine.planned import check_planned
from jdl.engine.sim import Simulation
from jdl.runs import compose
from jdl.runs.aligned import aligned
from jdl.runs.budget import Budget, Sample
from jdl.runs.cache import use_compile_cache
from jdl.runs.configuration import settings_of
from jdl.runs.describe import describe, environment, part_name
from jdl.runs.driver import Driver
from jdl.runs.ending import ending
from jdl.runs.goal import check_columns, goal_of
from jdl.runs.history import History, Row
from jdl.runs.hosts import Hosts
from jdl.runs.interrupt import interruptible
from jdl.runs.message_range import check_start
from jdl.runs.node_facts import NodeFacts
from jdl.runs.pace import Pace
from jdl.runs.place import Place
from jdl.runs.planned import ROUNDS, usual_rounds
from jdl.runs.pretrained import start_of
from jdl.runs.privacy import DELTA
from jdl.runs.program import program_of
from jdl.runs.progress import Bar
from jdl.runs.result import Live, Result
from jdl.runs.results import Results
from jdl.runs.rundir import RunDir
from jdl.runs.seeds import seeds_of, simulations
from jdl.runs.several import driven as several_of
from jdl.runs.timed import nobody_in_time
from jdl.types import Algorithm, Exchange, Federated, Oracle, Problem, PyTree, Roles, Wrapper

__all__ = ["run"]


def run(
    problem: Problem,
    algorithm: Algorithm | Federated,
    topology: Any = None,
    network: Sequence[Exchange] = (),
    *,
    rounds: int | None = None,
    eval_every: int | None = None,
    eval_nodes: str | int = "auto",
    seed: int = 0,
    seeds: int | Sequence[int] | None = None,
    until: Mapping_[str, float | str] | None = None,
    network_down: Sequence[Exchange] = (),
    oracle: Oracle | Wrapper | Sequence[Wrapper] | None = None,
    roles: Roles | None = None,
    attackers: float | int | Sequence[int] | None = None,
    metrics: Mapping_[str, compose.Metric] | None = None,
    own: bool = False,
    per_node: bool | Collection[str] = False,
    clock: Clock | None = None,
    params: PyTree | str | os.PathLike[str] | None = None,
    mapping: Mapping = "auto",
    devices: int | str = "auto",
    run_dir: str | Path | Place | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    progress: bool | None = None,
    on_row: Callable[[Row], Any] | None = None,
    label: str | None = None,
    command: dict[str, Any] | None = None,
) -> Result | Results:
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
      rounds: the number of rounds; in a round every node sends, the exchange delivers, and every node receives. By
        default 500, or as many as the run that is resumed, or all that a schedule has planned in time (whose rounds
        are waves of events, or arrivals).
      eval_every: the number of rounds between evaluations; by default a 25th of `rounds`, and in a short run at least
        ten rounds or a fifth of them; a fifth of them in a run of more than 512 nodes whose evaluations would otherwise
        take longer than its rounds, by an estimate from sizes. Of a plan in waves of at least five windows it is then
        rounded up to whole windows, after which all models are those of one second.
      eval_nodes: the nodes whose models are evaluated. "all" evaluates all; a number evaluates a sample of so many,
        which `seed` draws once. "auto" evaluates all of up to 512 nodes, and all of more nodes if that is estimated,
        from sizes alone, to take at most a tenth of the work of the rounds; otherwise it evaluates a sample of 256
        nodes, and all nodes at the end of the run. Where a sample is evaluated, the column `eval_nodes` has the number
        of nodes of which the mean, standard deviation, worst and best of each row are, and own metrics of the other
        nodes are NaN. The mean model and the consensus distance are those of all nodes in any case.
      seed: see `jdl.simulation`.
      seeds: the seeds of several runs, or their number, counted from `seed`. They share one program, in which as many
        run side by side as pay. A part may be a function of a seed, `topology=lambda seed: random_regular(64, 4,
        seed=seed)`, which draws it anew for each; see `jdl.runs.seeds.simulations` for what each seed draws.
      until: ends the run at the first evaluation that reaches these values of columns, `{"mean_accuracy": 0.95}`: at
        least the value of an accuracy, at most that of everything else, or as said, `{"gap": ">= 2"}`. A value of what
        a run spends (simulated_seconds, joules, bits_sent, ...) is a limit that ends it in any case, at the first
        evaluation beyond it: with a small `eval_every`, close to it. With several seeds, all that have not diverged
        must reach them at one evaluation.
      network_down: see `jdl.simulation`.
      oracle: see `jdl.simulation`.
      roles: see `jdl.simulation`.
      attackers: see `jdl.simulation`.
      metrics: see `jdl.simulation`. Numbers are columns of the history; of arrays [n] the mean, the standard deviation
        and the extremes are, and the arrays are kept in `history.nodes`.
      own: see `jdl.simulation`.
      per_node: see `jdl.simulation`. Where a sample of nodes is evaluated, the accuracy and the loss of the others are
        NaN; distances and bits are those of all nodes.
      clock: see `jdl.simulation`.
      params: the initial model of all nodes, or one initial model for each node, `[n, ...]`; or a `.npz` or
        `.safetensors` file of either, whose arrays have the names of the model's; by default one model drawn from
        `seed`, the same for all nodes.
      mapping: see `jdl.simulation`. "loop" is a Python loop without compilation; it names the node, the round and the
        step of an error, or of the first number that is not finite.
      devices: see `jdl.simulation`.
      run_dir: the directory for config.json, history.csv, nodes.csv (the metrics of every node, if there are any),
        node_facts.npz, checkpoint/, models.npz (models-SEED.npz with seeds; of up to 1 GiB) and summary.json, from
        which `jdl.load` makes the result again; it must be new or empty. None writes nothing.
      checkpoint_every: the number of rounds between checkpoints; by default checkpoints are written at evaluations, and
        at most every ten seconds.
      resume: continue from the newest checkpoint in `run_dir`. History and models are then the same to the last bit as
        without the interruption. With more rounds than before, a finished run is extended, as if it had been asked for
        all of them at once with the same `eval_every`, which it keeps.
      progress: whether to show a progress bar; by default if there is a terminal or a notebook.
      on_row: is called with each evaluation when it has been written, for a tracker of experiments. An evaluation is a
        dict of the columns of the history: numbers, arrays [S] of S seeds, and, under names that begin with "nodes/",
        those of every node.
      label: the name of the run in the progress bar and in the result; by default the name of the algorithm.
      command: further JSON to keep in config.json.

    Returns:
      A `Result`; with `seeds` the `Results` of all, a sequence. Divergence and interruption (Ctrl-C) do not raise: the
      result's `status` and `message` report them.

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
    checks.require(
        run_dir is not None or not resume, "got resume=True without run_dir, need the directory; give run_dir"
    )
    place = None if run_dir is None else run_dir if isinstance(run_dir, Place) else Place(run_dir)
    kept = settings_of(place) if resume else {}
    rounds = kept.get("rounds") if rounds is None else checks.whole("rounds", rounds, 1)
    if eval_every is not None:
        eval_every = checks.whole("eval_every", eval_every, 1)
    if checkpoint_every is not None:
        checkpoint_every = checks.whole("checkpoint_every", checkpoint_every, 1)
    goal = goal_of(until)
    use_compile_cache()
    several = seeds_of(seeds, seed)
    parts = {"problem": problem, "algorithm": algorithm, "topology": topology, "network": network}
    what = {"network_down": network_down, "oracle": oracle, "roles": roles, "metrics": metrics}
    what |= {"attackers": attackers, "own": own, "per_node": per_node, "clock": clock}
    how = {"mapping": mapping, "devices": devices}
    made = simulations({**parts, **what, **how}, several or (seed,))
    made = made if several is None else aligned(made, ROUNDS)  # the same for a run that is extended
    rounds = usual_rounds(*(one.schedule for one in made)) if rounds is None else rounds
    for one in made:
        check_planned(one.schedule, rounds)
    simulation = made[0]
    check_columns(goal, simulation)
    if params is not None:
        params = start_of(simulation, params)
        check_start(simulation, params)
    label = label or part_name(algorithm)
    budget = Budget(simulation, rounds)
    sample = Sample(**kept["eval_nodes"]) if eval_nodes == "auto" and kept.get("eval_nodes") else None
    eval_every = eval_every or kept.get("eval_every") or budget.every(eval_nodes)
    if not kept or eval_nodes != "auto":
        sample = budget.sample(eval_nodes, eval_every)
    budget.note_if_costly(sample, eval_every)
    settings = {"rounds": rounds, "eval_every": eval_every, "checkpoint_every": checkpoint_every}
    hosts = Hosts.of_jax()
    with contextlib.ExitStack() as stack:
        opened: list[RunDir] = []
        if place is not None:
            how = settings | ({} if sample is None else {"eval_nodes": sample._asdict()})
            how |= {} if several is None else {"seeds": list(several)}
            named = {"command": command, "label": label, "seed": seed}
            config = {**named, "run": how, "simulation": _described(made), **environment()}
            hosts.once(lambda: opened.append(stack.enter_context(RunDir(place, config, resume, several))))
        files = opened[0] if opened else None
        if files is not None:
            files.facts([NodeFacts.of(one) for one in made])
        shown = progress if hosts.leads else False
        with interruptible() as stop, Bar(rounds, shown, label) as bar, _eager(mapping):
            begun = time.monotonic()
            driven = program_of(simulation, params, sample) if several is None else several_of(made, params, sample)
            driver = Driver(driven, Pace(**settings), stop, bar, files, hosts, goal=goal, on_row=on_row)
            driver.drive()
            delta = ((command or {}).get("dp") or {}).get("delta", DELTA)
            result = _result(driver, made, several, seed, label, driver.begun - begun, delta, params)
        if files is not None:
            found = [result] if several is None else list(result)
            if hosts.count == 1:  # with several, each has a part of the models, and the checkpoint has all
                files.models([one.origin.models for one in found], [one.rounds for one in found])
            files.summary(result.summary)
    return result


def _described(made: list[Simulation]) -> Any:
    """The description of the simulation, or of all if they differ by more than their keys."""
    first = made[0]
    alike = all(one.problem is first.problem and one.schedule is first.schedule for one in made)
    return describe(first) if alike else [describe(one) for one in made]


def _result(
    driver: Driver,
    made: list[Simulation],
    seeds: tuple[int, ...] | None,
    seed: int,
    label: str,
    compile_seconds: float,
    delta: float,
    params: PyTree | None,
) -> Result | Results:
    """What a driver has done."""
    path = driver.files.path if driver.files is not None else None
    go_on = driver.files.go_on if driver.files is not None else None
    how = {"t": driver.at.t, "rounds": driver.pace.rounds, "go_on": go_on, "goal": driver.goal}
    history = History(driver.rows, seeds)
    states = [driver.at.state] if seeds is None else driver.driven.states(driver.at.state)
    results = []
    for simulation, state, one in zip(made, states, seeds or (seed,), strict=True):
        own = history if seeds is None else history.of(one)
        told = ending(simulation, diverged_round=int(state.status), rows=own.rows, **how)
        status, message = driver.hosts.agreed(told)
        message += nobody_in_time(simulation, state) if driver.hosts.count == 1 else ""
        results.append(
            Result(
                name=label,
                history=own,
                node_facts=NodeFacts.of(simulation),
                seed=one,
                status=status,
                message=message,
                rounds=int(state.t),
                origin=Live(simulation, state, delta, params),
                seconds=driver.seconds,
                compile_seconds=compile_seconds,
                run_dir=path,
            )
        )
    return results[0] if seeds is None else Results(label, tuple(results), history, path)


def _eager(mapping: Mapping) -> contextlib.AbstractContextManager:
    """Switch compilation off for `mapping="loop"`."""
    return jax.disable_jit() if mapping == "loop" else contextlib.nullcontext()
