"""The command `jdl sweep`: it runs the points that flags name, and shows what came of them."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jdl import checks
from jdl.command import sweep_points, sweep_shown
from jdl.command.executors import executor_of, processes_in
from jdl.command.fixed import Sweep
from jdl.command.seeds import seeds_in
from jdl.engine.placement import cores, find_devices, use_cores
from jdl.sweeps import results, status
from jdl.sweeps.dry import DryRun
from jdl.sweeps.sweep import sweep
from jdl.sweeps.units import MOST

__all__ = ["command"]

INTERRUPTED = "the sweep was interrupted"  # what the note of an interruption says


def command(given: Sweep, words: Sequence[str]) -> int:
    """Run a sweep, or report on one.

    Args:
      given: the flags of the sweep itself.
      words: the others, which are those of runs.

    Returns:
      The exit status: 0, 1 if runs have failed, or 130 after an interruption.

    Raises:
      InputError: if a flag cannot be used.
    """
    if given.status is not None:
        checks.require(not words, f"got --status with {words[:1]}, which it does not take; leave one of them out")
        return _status(given)
    need = "need what varies; try jdl sweep --lr 0.1,0.3 --nodes 64 --seeds 3, and see `jdl sweep --help`"
    checks.require(bool(words), f"got no flags of runs, {need}")
    if not given.compile_cache:
        os.environ["JDL_COMPILE_CACHE"] = "off"
    found = sweep_points.commands(words, given.zip, given)
    devices = [one["devices"] for _, one in found if isinstance(one["devices"], int)]
    with contextlib.suppress(checks.InputError):  # a program that has already computed keeps its devices
        use_cores(max(cores(), *devices) if devices else None)
    find_devices()
    same, own = sweep_points.shared(sweep_points.points(found))
    out = Path("runs", f"sweep-{_hash([one for _, one in found])}") if given.out is None else checks.path(given.out)
    seeds = seeds_in(given.seeds, given.seed)
    how = {"seed": given.seed, "seeds": seeds, "run_dir": out, "shard": given.shard}
    processes = processes_in(given.executor)  # each of which gets a unit at least
    how["per_unit"] = None if processes == 1 else min(MOST, -(-len(own) * len(seeds or [0]) // processes))
    how |= {"checkpoint_every": given.checkpoint_every, "progress": given.progress, "dry_run": given.dry_run}
    try:
        with (
            _interruption() as stopped,
            executor_of(given.executor, max(devices, default=None), stopped) as executor,
        ):
            table = sweep(**same, points=own, executor=executor, label=out.name, **how)
    except KeyboardInterrupt:
        _go_on(given, words)
        return 130
    except RuntimeError as error:  # units that have failed; the others are done
        print(f"jdl: {error}", file=sys.stderr)
        return 1
    if isinstance(table, DryRun):
        sweep_shown.dry(table, out, given.json)
        return 0
    sweep_shown.table(table, out, given.json)
    if stopped:
        _go_on(given, words)
    return 130 if stopped else 0


def _hash(commands: Sequence[dict[str, Any]]) -> str:
    """A name for a sweep: the same for the same points, whatever their seeds and rounds, which may be added to."""
    left_out = ("seed", "seeds", "rounds")
    points = [{name: value for name, value in one.items() if name not in left_out} for one in commands]
    return hashlib.sha256(json.dumps(points, sort_keys=True).encode()).hexdigest()[:6]


@contextlib.contextmanager
def _interruption() -> Iterator[list[str]]:
    """Catch the note of `jdl.sweep` on an interruption, whose advice is for callers from Python.

    Yields:
      A list, which holds the note after an interruption and is empty otherwise.
    """
    found: list[str] = []
    usual = warnings.showwarning

    def show(message: Warning | str, *more: Any) -> None:
        if INTERRUPTED in str(message):
            found.append(str(message))
        else:
            usual(message, *more)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", f".*{INTERRUPTED}")
        warnings.showwarning = show
        yield found


def _go_on(given: Sweep, words: Sequence[str]) -> None:
    print(f"jdl: interrupted; go on with the same command: {_spelled(given, words)}", file=sys.stderr)


def _spelled(given: Sweep, words: Sequence[str]) -> str:
    """The command as one may type it again."""
    own = []
    for name, usual in ((name, getattr(Sweep(), name)) for name in Sweep.__dataclass_fields__):
        value = getattr(given, name)
        flag = name.replace("_", "-")
        if value == usual:
            continue
        if name == "zip":
            own += [word for one in value for word in ("--zip", one)]
        elif isinstance(value, bool):
            own.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            own += [f"--{flag}", *map(str, value if isinstance(value, tuple) else (value,))]
    return shlex.join(["jdl", "sweep", *words, *own])


def _status(given: Sweep) -> int:
    out = checks.path(given.status)
    sweep_shown.status(status.sweep_status(out), functools.partial(results.load_sweep, out), given.json)
    return 0
