"""The executors that `jdl sweep --executor` names."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from jdl import checks
from jdl.engine.placement import cores, use_cores

__all__ = ["executor_of", "processes_in"]


@contextlib.contextmanager
def executor_of(word: str | None, devices: int | None, stopped: Sequence[str]) -> Iterator[Any]:
    """The executor that a flag names, for as long as it is needed; None for this process.

    Args:
      word: "processes:4"; or None.
      devices: the number of devices that runs ask for, if they do.
      stopped: a list that is not empty at the end if the sweep was interrupted; the processes are then asked to stop.

    Raises:
      InputError: if the word is another.
    """
    if word is None:
        yield None
        return
    context, count = multiprocessing.get_context("spawn"), processes_in(word)  # JAX does not survive a fork
    queue, before = context.Queue(), {*multiprocessing.active_children()}
    for share in _shares(count):
        queue.put(share)
    with ProcessPoolExecutor(count, mp_context=context, initializer=_begin, initargs=(queue, devices)) as pool:
        done = False
        try:
            yield pool
            done = not stopped
        finally:
            for process in () if done else {*multiprocessing.active_children()} - before:
                process.terminate()  # asks a run to write its checkpoint, and to end


def processes_in(word: str | None) -> int:
    """The number of processes that the flag names; 1 if it is not given.

    Raises:
      InputError: if it names none.

    >>> processes_in("processes:4"), processes_in(None)
    (4, 1)
    """
    kind, _, number = (word or "processes:1").partition(":")
    good = kind == "processes" and number.isdecimal() and int(number) > 0
    checks.require(good, f"got --executor {word}, need processes and their number; try --executor processes:2")
    return int(number)


def _shares(count: int) -> list[list[int]]:
    """The cores of each process: all cores are dealt out, and dealt again if there are more processes."""
    try:
        every = sorted(os.sched_getaffinity(0))
    except AttributeError:  # only Linux binds processes to cores
        return [[] for _ in range(count)]
    return [every[place::count] or [every[place % len(every)]] for place in range(count)]


def _begin(queue: Any, devices: int | None) -> None:
    """Begin a process: bind it to its cores, before JAX counts them."""
    share = queue.get()
    if share:
        os.sched_setaffinity(0, share)
    if devices is not None:
        with contextlib.suppress(checks.InputError):
            use_cores(max(cores(), devices))
