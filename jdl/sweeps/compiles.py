"""The number of programs that this process has compiled, or has read from the compile cache."""

from __future__ import annotations

import functools

import jax.monitoring

__all__ = ["compiles"]

EVENT = "/jax/core/compile/backend_compile_duration"


@functools.cache
def _counter() -> list[int]:
    found = [0]

    def listen(name: str, _seconds: float, **_: str) -> None:
        found[0] += name == EVENT

    jax.monitoring.register_event_duration_secs_listener(listen)
    return found


def compiles() -> int:
    """How many programs were compiled since the first call."""
    return _counter()[0]
