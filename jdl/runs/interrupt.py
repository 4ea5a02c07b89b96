"""Interruption: Ctrl-C and SIGTERM end a run between two chunks of rounds, so that no work is lost."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

__all__ = ["Stop", "interruptible"]


class Stop:
    """Whether the run was asked to stop."""

    asked = False


@contextlib.contextmanager
def interruptible() -> Iterator[Stop]:
    """A context in which the first SIGINT or SIGTERM sets `stop.asked`; a second SIGINT interrupts at once, as usual.

    Only the main thread receives signals; in other threads the context has no effect.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(signum, frame):
        if stop.asked and signum == signal.SIGINT:
            raise KeyboardInterrupt
        stop.asked = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
