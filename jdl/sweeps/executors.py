"""Units of a sweep in other processes: what is sent to them, what they do, and how they are waited for."""

from __future__ import annotations

import dataclasses
import functools
import os
import pickle
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from jdl import checks
from jdl.runs.cache import use_compile_cache
from jdl.runs.interrupt import Stop, interruptible
from jdl.sweeps.compiles import compiles
from jdl.sweeps.folder import Folder
from jdl.sweeps.identity import digest
from jdl.sweeps.jobs import Job
from jdl.sweeps.units import Unit
from jdl.sweeps.work import do

__all__ = ["Spec", "check", "run_unit", "save_arguments", "submitted"]

POLL = 0.05, 1.0  # the shortest and the longest time between two looks at what was submitted, in seconds


@dataclasses.dataclass(frozen=True)
class Spec:
    """All that another process needs to run a unit.

    Attributes:
      run_dir: the directory of the sweep.
      arguments: the name of the file in it that holds the arguments of the points.
      unit: the unit.
      rounds: the number of rounds.
      checkpoint_every: the number of rounds between checkpoints, or None.
    """

    run_dir: str
    arguments: str
    unit: Unit
    rounds: int
    checkpoint_every: int | None = None


def run_unit(spec: Spec) -> dict[str, Any]:
    """Run a unit, or go on with it, and write its files. This is what an executor calls.

    Args:
      spec: the unit.

    Returns:
      `status`: "done", "held" (another process runs it, or has done so), or "interrupted"; the `seconds` that it took;
      and the number of programs that were compiled, `compiles`.
    """
    begun, before = time.monotonic(), compiles()
    use_compile_cache()
    jobs = _arguments(Path(spec.run_dir) / spec.arguments)
    with interruptible() as stop:
        own = [jobs[id_] for id_ in spec.unit.jobs]
        found = do(spec.unit, own, spec.rounds, stop, _Silent(), Folder(spec.run_dir), spec.checkpoint_every)
    status = "held" if found is None else "done" if found.done else "interrupted"
    return {"status": status, "seconds": time.monotonic() - begun, "compiles": compiles() - before}


class _Silent:
    """Shows nothing."""

    def start(self, t: int) -> None:
        """Do nothing."""

    def update(self, t: int, row: Any) -> None:
        """Do nothing."""


@functools.lru_cache(maxsize=1)  # one process runs many units of one sweep
def _arguments(path: Path) -> dict[str, Job]:
    """The jobs that `save_arguments` wrote, by id."""
    with path.open("rb") as file:
        return pickle.load(file)


def save_arguments(folder: Folder, jobs: Iterable[Job]) -> str:
    """Write the arguments of jobs for other processes.

    Returns:
      The name of the file, which depends on the jobs.

    Raises:
      InputError: if an argument cannot be sent to another process; the sentence names it.
    """
    found = {job.id: job for job in jobs}
    name = f"arguments-{digest(''.join(found))}.pkl"
    text, part = _pickled(found), folder.path / f"{name}.{os.getpid()}.part"
    part.write_bytes(text)
    os.replace(part, folder.path / name)
    return name


def _dumps() -> Callable[[Any], bytes]:
    """cloudpickle, which can send functions of a notebook, where it is installed."""
    try:
        import cloudpickle
    except ImportError:
        return pickle.dumps
    return cloudpickle.dumps


def _pickled(jobs: dict[str, Job]) -> bytes:
    dumps = _dumps()
    try:
        return dumps(jobs)
    except Exception as whole:  # pickle raises exceptions of many types
        for job in jobs.values():
            for name, value in job.arguments.items():
                try:
                    dumps(value)
                except Exception as error:
                    why = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
                    more = " (or install cloudpickle, which sends more)" if dumps is pickle.dumps else ""
                    raise checks.InputError(
                        f"got {name}, which cannot be sent to another process ({why}), need functions and classes of a "
                        f"module{more}; write them into a file that is imported, or leave executor out"
                    ) from error
        raise whole


def check(executor: Any, run_dir: Any) -> None:
    """Check that an executor can be used.

    Raises:
      InputError: if it has no `submit`, or if there is no directory for the results.
    """
    usable = callable(getattr(executor, "submit", None))
    got = f"got executor={executor!r:.80}, which has no method `submit`"
    try_ = "try concurrent.futures.ProcessPoolExecutor(mp_context=multiprocessing.get_context('spawn'))"
    checks.require(usable and not isinstance(executor, type), f"{got}, need submit(function, spec); {try_}")
    need = "need a directory in which processes leave their results; give one"
    checks.require(run_dir is not None, f"got an executor without run_dir, {need}")


def submitted(
    executor: Any, specs: Sequence[Spec], stop: Stop, done: Callable[[Spec, dict[str, Any] | Exception], None]
) -> None:
    """Submit units, and wait until all are done or a stop is asked for.

    Args:
      executor: has `submit(function, spec)`, whose result has `done()` and `result()`.
      specs: the units.
      stop: tells whether the user asked to stop. What has not begun is then cancelled, where it can be.
      done: is called with each unit and what became of it: what `run_unit` returns, or the exception.
    """
    waiting: list[tuple[Spec, Any]] = []
    for spec in specs:
        try:
            waiting.append((spec, executor.submit(run_unit, spec)))
        except Exception as error:  # a pool whose process has ended refuses
            done(spec, error)
    pause = POLL[0]
    while waiting and not stop.asked:
        looked = [(spec, future, future.done()) for spec, future in waiting]
        waiting = [(spec, future) for spec, future, ready in looked if not ready]
        ready = [(spec, future) for spec, future, ready in looked if ready]
        for spec, future in ready:
            try:
                found = future.result()
            except Exception as error:
                found = error
            done(spec, found)
        pause = POLL[0] if ready else min(1.5 * pause, POLL[1])
        if waiting:
            time.sleep(pause)
    for _, future in waiting:
        if callable(getattr(future, "cancel", None)):
            future.cancel()
