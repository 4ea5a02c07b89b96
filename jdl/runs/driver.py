"""The loop on the host around the compiled rounds: evaluations, checkpoints, progress, interruption."""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl import checks
from jdl.engine import sim as simulator
from jdl.engine.metrics import COLUMNS
from jdl.engine.placement import by_rows, everywhere
from jdl.engine.sim import RunState, Simulation
from jdl.runs.ending import ending, first_infinite_loss
from jdl.runs.history import History, Row
from jdl.runs.interrupt import Stop
from jdl.runs.memory import free_bytes
from jdl.runs.program import compiled_chunk
from jdl.runs.progress import Bar
from jdl.runs.result import Result
from jdl.runs.rundir import RunDir
from jdl.types import PyTree

__all__ = ["drive"]

CHUNK_SECONDS = 1.0  # the time between two looks at the clock, the bar and the interrupt
CHECKPOINT_SECONDS = 10.0  # the least time between two checkpoints, if the user gives no number of rounds


def drive(
    simulation: Simulation,
    params: PyTree | None,
    *,
    seed: int,
    rounds: int,
    eval_every: int,
    checkpoint_every: int | None,
    files: RunDir | None,
    stop: Stop,
    bar: Bar,
    label: str,
) -> Result:
    """Run chunks of rounds until all are done, a model or the loss is no longer finite, or a stop is asked for.

    Args:
      simulation: the composed simulation.
      params: the initial models, or None to draw them.
      seed: kept in the result.
      rounds: the total number of rounds, those of a resumed run included.
      eval_every: the number of rounds between evaluations.
      checkpoint_every: the number of rounds between checkpoints; None saves at evaluations, and at most every ten
        seconds.
      files: the run directory, or None.
      stop: tells whether the user asked to stop.
      bar: the progress bar.
      label: the name of the run.

    Returns:
      The result, whose status says how the run ended.

    Raises:
      InputError: if the compiled program does not fit the memory.
    """
    begun = time.monotonic()
    shapes = jax.eval_shape(simulator.INIT, simulation, params)
    chunk, needed = compiled_chunk(simulation, shapes)
    checks.fits(needed, f"{simulation.problem.n:,} nodes", free_bytes())
    restored = files.restore(shapes) if files is not None else None
    if restored is None:
        sim, before, rows = simulator.INIT(simulation, params), 0.0, []
    else:
        sim, before, rows = jax.tree.map(jnp.asarray, restored[0]), restored[1]["seconds"], restored[2]
    parts, mesh = simulation, simulation.mesh
    if mesh is not None:
        sim = jax.device_put(sim, by_rows(sim, parts.problem.n, mesh))
        parts = jax.device_put(simulation, everywhere(mesh))
    jax.block_until_ready(sim)
    compile_seconds = time.monotonic() - begun
    begun = saved = time.monotonic()
    bar.start(int(sim.t))
    speed = 0.0
    t, evaluated = int(sim.t), rows[-1]["round"] if rows else -1

    def seconds():
        return before + time.monotonic() - begun

    def save():
        if files is not None:
            files.save(sim, {"rows": len(rows), "seconds": seconds()})
        return time.monotonic()

    while not stop.asked and evaluated < rounds and int(sim.status) < 0 and first_infinite_loss(rows) is None:
        ends = [rounds, t if evaluated < 0 else _next(t, eval_every)]
        if checkpoint_every:
            ends.append(_next(t, checkpoint_every))
        until = min(*ends, t + max(1, int(speed * CHUNK_SECONDS)))
        evaluate = until == rounds or until % eval_every == 0
        started = time.monotonic()
        sim, row = chunk(parts, sim, jnp.int32(until), jnp.bool_(evaluate))
        now = int(sim.t)
        speed = (now - t) / (time.monotonic() - started) if now > t else speed
        t = now
        if int(sim.status) >= 0 and not evaluate:  # evaluate the round that diverged: it is the last of the history
            sim, row = chunk(parts, sim, jnp.int32(t), jnp.bool_(True))
        if evaluate or int(sim.status) >= 0:
            evaluated = t
            rows.append(_row(row, sim, seconds()))
            if files is not None:
                files.row(rows[-1])
        bar.update(t, rows[-1])
        due = time.monotonic() - saved > CHECKPOINT_SECONDS if checkpoint_every is None else t % checkpoint_every == 0
        if due and evaluated < rounds and (checkpoint_every or evaluated == t):
            saved = save()
    save()
    go_on = files.go_on if files is not None else None
    status, message = ending(simulation, diverged_round=int(sim.status), t=t, rounds=rounds, rows=rows, go_on=go_on)
    return Result(
        name=label,
        history=History(rows),
        sim=sim,
        simulation=simulation,
        seed=seed,
        status=status,
        message=message,
        seconds=seconds(),
        compile_seconds=compile_seconds,
        run_dir=files.path if files is not None else None,
    )


def _next(t: int, every: int) -> int:
    """The first multiple of `every` after `t`.

    >>> _next(7, 5), _next(10, 5)
    (10, 15)
    """
    return (t // every + 1) * every


def _row(metrics: dict[str, jax.Array], sim: RunState, seconds: float) -> Row:
    """One evaluation on the host. Traffic is summed here in float64, in which the sum is exact."""
    totals = {name: np.asarray(getattr(sim.traffic, name), np.float64) for name in ("bits", "messages")}
    sent: dict[str, Any] = {f"{name}_sent": float(np.sum(total[0] - total[1])) for name, total in totals.items()}
    names = [*(name for name in COLUMNS if name in metrics), *(name for name in metrics if name not in COLUMNS)]
    return {"round": int(sim.t), "seconds": seconds, **sent, **{name: float(metrics[name]) for name in names}}
