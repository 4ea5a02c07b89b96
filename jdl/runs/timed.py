"""The clock of a simulation: its checks, the steps that it counts, and its columns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jdl import checks
from jdl.clock import Clock, Recorded
from jdl.engine.clock import seconds_of
from jdl.engine.sim import RunState, Simulation
from jdl.engine.totals import exact
from jdl.engine.work import work_of
from jdl.runs.planned import columns_of
from jdl.types import LinkTime, StepTime, Wait, Work

__all__ = ["check_clock", "columns", "nobody_in_time", "steps_of"]

PARTS = (
    ("step", StepTime, "jdl.clock.LogNormal(0.1)"),
    ("links", LinkTime, "jdl.clock.FairShare(up=1e8)"),
    ("wait", Wait, "jdl.clock.Deadline(10.0)"),
)
ENDLESS = ("up", "down", "server", "rate", "seconds")  # bandwidths and deadlines, which may be infinite


def check_clock(clock: Any, n: int) -> None:
    """Check that an argument is a clock of n nodes whose parts are parts of clocks.

    Raises:
      InputError: if it is not.
    """
    if clock is None:
        return
    need = "need a jdl.clock.Clock; try Clock(step=0.1)"
    checks.require(isinstance(clock, Clock), f"got clock={clock!r}, {need}")
    for name, kind, usual in PARTS:
        _check_part(name, getattr(clock, name), kind, usual)
    number = clock.steps is None or (isinstance(clock.steps, int | float) and 0 <= clock.steps < math.inf)
    checks.require(number, f"got steps={clock.steps!r}, need the steps of a node in a round; try steps=5")
    for name, shapes in (("watts", ((), (n,))), ("joules_per_bit", ((), (n,), (n + 1,)))):
        each = f"need one number, or one for each of n={n} nodes; try {name}=1.0"
        shape = np.shape(checks.settled(getattr(clock, name)))
        checks.require(shape in shapes, f"got {name} of shape {shape}, {each}")
    for path, leaf in jax.tree_util.tree_leaves_with_path(clock):
        array, name = np.asarray(checks.settled(leaf)), jax.tree_util.keystr(path)
        good = getattr(path[-1], "name", "") in ENDLESS or array.dtype.kind != "f" or bool(np.all(np.isfinite(array)))
        checks.require(good, f"got Clock{name} with numbers that are not finite, need times that end; try 0.1")
    if isinstance(clock.step, Recorded):
        Recorded(np.asarray(clock.step.table))  # its checks are of arrays on the host


def _check_part(name: str, given: Any, kind: type, usual: str) -> None:
    """Check that a part of a clock is of its kind: an object that JAX knows, and no class."""
    if given is None and name == "wait":
        return
    need = f"need a part such as {usual}"
    call = f"got {name}=the class {getattr(given, '__name__', '')}, {need}; call it"
    checks.require(not isinstance(given, type), call)
    if isinstance(given, kind):
        lacks = f"got {name} of type {type(given).__name__}, a class that JAX does not know as a pytree, need one"
        checks.require(not jax.tree_util.all_leaves([given]), f"{lacks}; put @flax.struct.dataclass above the class")
        return
    seconds = name == "step" and np.asarray(given).dtype.kind in "iuf"
    checks.require(
        seconds, f"got {name}={given!r}, {need if name != 'step' else 'need seconds, or' + need[4:]}; make one"
    )


def steps_of(built: Simulation) -> tuple[Work, ...]:
    """The steps of a node in each exchange: read off the method, or as the clock says.

    Raises:
      InputError: if their number depends on data, on the round or on chance, and the clock does not say it.
    """
    work, steps = work_of(built), built.clock.steps
    if steps is not None:
        return (Work(float(steps), 0.0, 0.0), *(Work(0.0, 0.0, 0.0) for _ in work[1:]))
    name = type(built.algorithm).__name__
    got = f"got a clock with {name}, whose number of steps in a round depends on the round, on data or on chance"
    known = not any(math.isnan(number) for one in work for number in one)
    checks.require(known, f"{got}; say how many it takes in the mean: Clock(..., steps=5)")
    return work


def columns(
    clock: Clock | None, state: RunState, bits_sent: np.ndarray, planned: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    """The columns of the clock: numbers, or arrays of several simulations.

    Args:
      clock: the clock of the simulation, or of several, whose powers are `[..., n]` or `[..., 1]`; or None.
      state: the state.
      bits_sent: what each node, and the server, has sent since the start: f[..., n].
      planned: what a schedule that was planned in time knows, see `jdl.runs.planned.times_of`; None for others.
    """
    if clock is None and planned is not None:
        found = columns_of(planned, int(state.t))
        return {name: np.broadcast_to(value, np.shape(state.status)) for name, value in found.items()}
    if clock is None:
        return {}
    times, watts, per_bit = jax.device_get((state.clock, clock.watts, clock.joules_per_bit))
    ended, computed, n = seconds_of(times), exact(times.computed), times.computed.shape[-1]
    has_server = ended.shape[-1] > n  # it ends a round
    last = ended[..., -1] if has_server else np.max(ended, axis=-1)
    busy = np.sum(computed, axis=-1)
    return {
        "simulated_seconds": last,
        "idle_share": np.where(last > 0, 1 - busy / (n * np.where(last > 0, last, 1)), 0.0),
        "joules": np.sum(watts * computed, axis=-1) + _joules_of_bits(np.atleast_1d(per_bit), bits_sent),
        "bits_received": np.sum(exact(times.received), axis=-1),
    }


def _joules_of_bits(per_bit: np.ndarray, sent: np.ndarray) -> np.ndarray:
    """The energy of what was sent, at f[..., 1] joules a bit for all senders, or f[..., k] for the first k of them."""
    count = min(per_bit.shape[-1], sent.shape[-1])
    return np.sum(per_bit * sent if count == 1 else per_bit[..., :count] * sent[..., :count], axis=-1)


def nobody_in_time(s: Simulation, state: RunState) -> str:
    """The end of a sentence about a run in which the clock waited, and no message ever arrived in time; else empty."""
    if state.clock is None or s.clock.wait is None:
        return ""
    n, sent, received = s.problem.n, exact(state.traffic.bits), exact(state.clock.received)
    if not np.any(sent[:n]) or np.any(received[n:] if s.has_server else received):
        return ""
    return f"; no message arrived in time for {type(s.clock.wait).__name__}, and nothing was mixed; let it wait longer"
