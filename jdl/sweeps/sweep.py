"""`jdl.sweep`: runs of all combinations of values, grouped into few programs, resumable and extensible."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax

from jdl import checks
from jdl.engine.mapping import Mapping as Mapping_
from jdl.runs.cache import use_compile_cache
from jdl.runs.interrupt import Stop, interruptible
from jdl.runs.progress import Bar
from jdl.runs.seeds import seeds_of
from jdl.sweeps import executors
from jdl.sweeps.dry import DryRun, dry_run_of
from jdl.sweeps.folder import Folder
from jdl.sweeps.jobs import name_of
from jdl.sweeps.planning import Plan, planned, points_and_constants, shard_of
from jdl.sweeps.points import Point
from jdl.sweeps.progress import OfUnit, Progress
from jdl.sweeps.results import Ran, from_folder, ran, table_of, up_to
from jdl.sweeps.table import SweepTable
from jdl.sweeps.units import Unit
from jdl.sweeps.work import do

__all__ = ["sweep"]

WAIT = 0.5  # seconds between two looks at units that other processes run


def sweep(
    *,
    problem: Any = None,
    algorithm: Any = None,
    topology: Any = None,
    network: Any = (),
    network_down: Any = (),
    oracle: Any = None,
    roles: Any = None,
    attackers: Any = None,
    metrics: Any = None,
    own: Any = False,
    per_node: bool | Collection[str] | Any = False,
    clock: Any = None,
    params: Any = None,
    mapping: Mapping_ | Any = "auto",
    devices: int | str | Any = "auto",
    rounds: int | Any = None,
    eval_every: int | Any = None,
    eval_nodes: str | int | Any = "auto",
    until: Mapping[str, float | str] | Any = None,
    seed: int = 0,
    seeds: int | Sequence[int] | None = None,
    points: Sequence[Mapping[str, Any] | Point] | None = None,
    run_dir: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    executor: Any = None,
    shard: str | tuple[int, int] | None = None,
    per_unit: int | None = None,
    dry_run: bool = False,
    progress: bool | None = None,
    label: str = "sweep",
) -> SweepTable | DryRun:
    """Run all combinations of the values that are marked with `jdl.over`, each with every seed.

    Runs of one program are done side by side, in *units* of at most 64. Graphs and partitions of one number of nodes
    share a program where that is cheaper than to compile another. A run that diverges has its rows up to there, and
    its status. The results are those of `jdl.run` with the same arguments, up to rounding.

    With `run_dir`, each unit has a run directory of its own. The same call goes on where the sweep was stopped, or
    killed: results are then the same to the last bit. It also extends a sweep: with more values, points, seeds or
    rounds it runs what is missing, and no more. Rounds are evaluated as often as in the first call. Several processes,
    also of several machines that share the directory, may make the same call at the same time; none repeats the work of
    another, if the file system knows locks.

    Args:
      problem: see `jdl.run`, as for all arguments without a text of their own. Each may hold marks, `jdl.over`.
      algorithm: see `jdl.run`.
      topology: see `jdl.run`.
      network: see `jdl.run`.
      network_down: see `jdl.run`.
      oracle: see `jdl.run`.
      roles: see `jdl.run`.
      attackers: see `jdl.run`.
      metrics: see `jdl.run`.
      own: see `jdl.run`.
      clock: see `jdl.run`.
      per_node: see `jdl.run`. The table leaves these numbers out; they are in the directories of the units.
      params: see `jdl.run`.
      mapping: see `jdl.run`.
      devices: see `jdl.run`.
      rounds: the number of rounds of each run; by default as in `jdl.run`.
      eval_every: see `jdl.run`.
      eval_nodes: see `jdl.run`.
      until: see `jdl.run`. The rows of each run end at the first evaluation that reaches it.
      seed: the first seed.
      seeds: the seeds of each point, or their number, counted from `seed`; by default `seed` alone.
      points: a list of points in place of a grid: dicts of arguments, which are added to the others. Each may have a
        "label". A `jdl.sweeps.points.Point` in place of a dict has labels by axis.
      run_dir: the directory of the sweep: a new one, or that of this sweep. None writes nothing.
      checkpoint_every: see `jdl.run`.
      executor: runs units in other processes: anything with `submit(function, spec)` whose result has `done()` and
        `result()`, such as a pool of `concurrent.futures`. Each process of a CPU uses all cores unless it is bound to
        some of them (`os.sched_setaffinity` in the initializer of a pool); begin processes by "spawn", since JAX does
        not survive a fork.
      shard: runs only a part of the units, "3/16" the third of sixteen, counted from 1, for the jobs of an array. The
        table then holds what is done so far.
      per_unit: the largest number of runs in a unit; smaller units serve more processes.
      dry_run: compile and run nothing, and return what would be run.
      progress: whether to show a progress bar; by default if there is a terminal or a notebook.
      label: the name of the sweep in the progress bar.

    Returns:
      The table of all runs that were asked for. After an interruption (Ctrl-C) it holds what is done so far, and a note
      says how to go on. With `dry_run`, a `DryRun`.

    Raises:
      InputError: if an argument cannot be used. A point whose parts do not fit together stops the sweep before anything
        runs; the sentence names it.
      RuntimeError: if units have failed for another reason; the others are done.

    >>> import jdl
    >>> table = jdl.sweep(
    ...     problem=jdl.problems.quadratic(nodes=8),
    ...     algorithm=jdl.algorithms.DPSGD(lr=jdl.over(0.01, 0.1)),
    ...     topology=jdl.topology.ring(8),
    ...     rounds=20,
    ... )
    >>> table.best("mean_loss").labels
    {'lr': 0.1}
    """
    given = {"problem": problem, "algorithm": algorithm, "topology": topology, "network": network}
    given |= {"network_down": network_down, "oracle": oracle, "roles": roles, "metrics": metrics, "own": own}
    given |= {"params": params, "mapping": mapping, "devices": devices, "rounds": rounds, "eval_every": eval_every}
    given |= {"attackers": attackers, "per_node": per_node, "clock": clock, "eval_nodes": eval_nodes, "until": until}
    if executor is not None:
        executors.check(executor, run_dir)
    part = shard_of(shard)
    need = "need a directory that all parts share; give one"
    checks.require(part is None or run_dir is not None, f"got shard={shard!r} without run_dir, {need}")
    alone = jax.process_count() == 1
    checks.require(alone, "got a sweep in several processes of jax.distributed, need one; give shard= to each instead")
    for name, value in (("checkpoint_every", checkpoint_every), ("per_unit", per_unit)):
        if value is not None:
            checks.whole(name, value, 1)
    got = f"got seed={seed!r}, need a number, since all points have the same seeds; write seeds=[...]"
    checks.require(not isinstance(seed, checks.Mark), got)
    several = seeds_of(seeds, checks.whole("seed", seed, 0)) or (seed,)
    use_compile_cache()
    found, constants = points_and_constants(given, points)
    folder = None if run_dir is None else Folder(run_dir)
    plan = planned(found, constants, several, folder, per_unit, part[1] if part else 1, write=not dry_run)
    if dry_run:
        return dry_run_of(plan)
    return _run(plan, part, executor, checkpoint_every, progress, label)


def _run(
    plan: Plan,
    part: tuple[int, int] | None,
    executor: Any,
    checkpoint_every: int | None,
    progress: bool | None,
    label: str,
) -> SweepTable:
    """Run what is not done, and make the table."""
    needed = plan.needed
    if part is not None:
        number, of = part
        own = {unit.name for unit in plan.units[number - 1 :: of]}
        needed = [unit for unit in needed if unit.name in own]
    todo = [unit for unit in needed if not plan.is_done(unit)]
    known: dict[str, Ran] = {}
    with Bar(sum(len(unit.jobs) for unit in needed), progress, label, unit="run") as bar, interruptible() as stop:
        shown = Progress(bar, len(needed))
        shown.before(unit for unit in needed if unit not in todo)
        if executor is None:
            run = functools.partial(_here, plan, checkpoint_every, stop, shown, known)
        else:
            run = functools.partial(_elsewhere, plan, checkpoint_every, stop, shown, executor)
        failed = run(todo) if plan.folder is None else _together(plan, todo, stop, shown, run)
        asked = stop.asked
    if failed:
        raise _failure(failed, len(needed), plan)
    if plan.folder is not None:
        found = from_folder(plan.folder, plan.needed, plan.folder.known())
        known = {id_: up_to(found[id_], job.rounds) for id_, job in plan.jobs.items() if id_ in found}
    if asked:
        how = "make the same call to go on" if plan.folder is not None else "give a run_dir to be able to go on"
        checks.note(f"the sweep was interrupted, and its table holds what is done so far; {how}")
    listed = [(job.id, job.point, job.labels, job.seed) for job in plan.jobs.values()]
    return table_of(listed, known, {job.point: job.arguments for job in plan.jobs.values()})


Failures = list[tuple[Unit, Exception]]


def _together(
    plan: Plan, todo: list[Unit], stop: Stop, shown: Progress, run: Callable[[list[Unit]], Failures]
) -> Failures:
    """Run units beside other processes: those that another one runs are waited for, and run if it has stopped."""
    failed: Failures = []
    while todo and not stop.asked:
        failed += run([unit for unit in todo if not plan.folder.is_held(unit)])
        left = []
        for unit in todo:
            if plan.is_done(unit):
                shown.finish(unit)
            elif all(unit is not one for one, _ in failed):
                left.append(unit)
        todo = left
        if todo and not stop.asked:
            time.sleep(WAIT)
    return failed


def _here(
    plan: Plan,
    checkpoint_every: int | None,
    stop: Stop,
    shown: Progress,
    known: dict[str, Ran],
    units: list[Unit],
) -> Failures:
    """Run units in this process, one after another; what they return is added to `known` if nothing is written."""
    failed: Failures = []
    for unit in units:
        if stop.asked:
            break
        own, rounds = [plan.jobs[id_] for id_ in unit.jobs], plan.rounds(unit)
        made = [plan.simulations.pop(id_, None) for id_ in unit.jobs]  # so that their memory is free afterwards
        made = None if any(one is None for one in made) else made
        try:
            bar = OfUnit(shown, len(own), rounds)
            outcome = do(unit, own, rounds, stop, bar, plan.folder, checkpoint_every, made)
        except Exception as error:
            failed.append((unit, error))
            continue
        if outcome is not None and plan.folder is None:
            known |= ran(unit, outcome.rows, outcome.marker, own[0].arguments.get("until"))
        if outcome is not None and outcome.done:
            shown.finish(unit)
    return failed


def _elsewhere(
    plan: Plan, checkpoint_every: int | None, stop: Stop, shown: Progress, executor: Any, units: list[Unit]
) -> Failures:
    """Run units by an executor."""
    if not units:
        return []
    failed: Failures = []
    plan.simulations.clear()  # the other processes compose their own
    run_dir, name = str(plan.folder.path.absolute()), executors.save_arguments(plan.folder, plan.jobs.values())
    specs = [executors.Spec(run_dir, name, unit, plan.rounds(unit), checkpoint_every) for unit in units]

    def done(spec: executors.Spec, found: dict[str, Any] | Exception) -> None:
        if isinstance(found, Exception):
            failed.append((next(unit for unit in units if unit.name == spec.unit.name), found))
        elif found["status"] == "done":
            shown.finish(spec.unit)

    executors.submitted(executor, specs, stop, done)
    return failed


def _failure(failed: Failures, count: int, plan: Plan) -> Exception:
    """What is raised after all units have run, of which some have failed."""
    unit, error = failed[0]
    names = [name_of(plan.jobs[id_].labels, plan.jobs[id_].seed) for id_ in unit.jobs]
    first = f"{'; '.join(names[:3])}{'; ...' if len(names) > 3 else ''}"
    kept = f", of which the others are in {plan.folder.path}" if plan.folder is not None and len(failed) < count else ""
    text = f"{len(failed)} of {count} units failed{kept}. The first, with {first}: {type(error).__name__}: {error}"
    made = checks.InputError(text) if isinstance(error, checks.InputError) else RuntimeError(text)
    made.__cause__ = error
    return made
