"""Run a simulation from Python: progress, evaluations, checkpoints, interruption, resumption."""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl import checks
from jdl.compressors import HalfPrecision
from jdl.engine import sim as simulator
from jdl.engine.mapping import Mapping
from jdl.engine.metrics import COLUMNS
from jdl.engine.placement import by_rows, everywhere
from jdl.engine.sim import RunState, Simulation
from jdl.exchange import Compressed
from jdl.exchange.stack import layers
from jdl.runs import compose, refuse
from jdl.runs.cache import use_compile_cache
from jdl.runs.describe import describe, environment, part_name
from jdl.runs.history import History
from jdl.runs.interrupt import interruptible
from jdl.runs.memory import free_bytes
from jdl.runs.progress import Bar
from jdl.runs.result import Result
from jdl.runs.rundir import Place, RunDir
from jdl.types import Algorithm, Exchange, Federated, Oracle, Problem, PyTree

__all__ = ["run"]

CHUNK_SECONDS = 1.0  # between two looks at the clock, the bar and the interrupt
CHECKPOINT_SECONDS = 10.0  # between two checkpoints, where no number of rounds is asked for


def run(
    problem: Problem,
    algorithm: Algorithm | Federated,
    topology: Any = None,
    network: Sequence[Exchange] = (),
    *,
    rounds: int = 500,
    eval_every: int | None = None,
    seed: int = 0,
    oracle: Oracle | None = None,
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
    """Simulate `rounds` rounds and evaluate as it goes.

    A function of yours (a decay, an optimizer, a model, a method of your own algorithm) is known by what it does: its
    code, closure and defaults, and the globals that it names. Where one of these has changed since the last run, the
    program is made anew, and a run begun with the other is not resumed. What a function reads in other ways, from a
    file or inside a `jax.jit` of yours, is read once, when the program is made.

    Args:
      problem: see `jdl.simulation`.
      algorithm: see `jdl.simulation`.
      topology: see `jdl.simulation`.
      network: see `jdl.simulation`.
      oracle: see `jdl.simulation`.
      seed: see `jdl.simulation`.
      rounds: each is one send, exchange and absorb of every node.
      eval_every: rounds between evaluations; a 25th of all by default.
      params: the start, one model or one for each node; by default drawn by `seed`, the same for all nodes.
      mapping: see `jdl.simulation`; "loop" is a Python loop without compilation that names the node, round and step of
        an error or of the first number that is not finite.
      devices: see `jdl.simulation`.
      run_dir: where config.json, history.csv, summary.json and checkpoint/ go; must be new or empty. None: nowhere.
      checkpoint_every: rounds between checkpoints; by default at evaluations, every ten seconds at most.
      resume: go on from the newest checkpoint in `run_dir`. History and models end bit for bit as if never stopped.
      progress: show a bar; by default where there is a terminal or a notebook to show it in.
      label: what the bar and the result call the run; the algorithm's name by default.
      command: further JSON to keep in config.json.

    Returns:
      A `Result`. Divergence and interruption (Ctrl-C) are statuses of it, with a sentence, not exceptions.

    Raises:
      InputError: something cannot be used; the sentence says what was got, what is needed, what to do.

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
    eval_every = max(1, rounds // 25) if eval_every is None else checks.whole("eval_every", eval_every, 1)
    if checkpoint_every is not None:
        checkpoint_every = checks.whole("checkpoint_every", checkpoint_every, 1)
    checks.require(
        run_dir is not None or not resume, "got resume=True without run_dir, need the directory; give run_dir"
    )
    use_compile_cache()
    how = {"mapping": mapping, "devices": devices}
    simulation = compose.simulation(problem, algorithm, topology, network, oracle=oracle, seed=seed, **how)
    if params is not None:
        _start_fits(simulation, params)
    label = label or part_name(algorithm)
    with contextlib.ExitStack() as stack:
        files = None
        if run_dir is not None:
            place = run_dir if isinstance(run_dir, Place) else Place(run_dir)
            settings = {"rounds": rounds, "eval_every": eval_every, "checkpoint_every": checkpoint_every}
            config = {"command": command, "run": settings, "simulation": describe(simulation), **environment()}
            files = stack.enter_context(RunDir(place, config, resume))
        with interruptible() as stop, Bar(rounds, progress, label) as bar, _eager(mapping):
            result = _loop(simulation, params, seed, rounds, eval_every, checkpoint_every, files, stop, bar, label)
        if files is not None:
            files.summary(result.summary)
    return result


def _loop(simulation, params, seed, rounds, eval_every, checkpoint_every, files, stop, bar, label) -> Result:
    """Chunks of rounds until all are done, one diverges, or a stop is asked for."""
    begun = time.monotonic()
    shapes = jax.eval_shape(simulator.INIT, simulation, params)
    chunk, needed = _compile(simulation, shapes)
    checks.fits(needed, f"{simulation.problem.n:,} nodes", free_bytes())
    found = files.restore(shapes) if files is not None else None
    if found is None:
        sim, before, rows = simulator.INIT(simulation, params), 0.0, []
    else:
        sim, before, rows = jax.tree.map(jnp.asarray, found[0]), found[1]["seconds"], found[2]
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

    while not stop.asked and evaluated < rounds and int(sim.status) < 0 and _unbounded(rows) is None:
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
        if int(sim.status) >= 0 and not evaluate:  # the history ends with the round that broke
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
    status, message = _ending(int(sim.status), t, rounds, files, rows, simulation)
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


def _chunk(simulation: Simulation, sim: RunState, until: jax.Array, evaluate: jax.Array) -> tuple[RunState, dict]:
    """Rounds up to `until`, then the metrics if `evaluate`: one program for every length of chunk."""
    sim, info = simulator.advance(simulation, sim, until, halt=True)
    measure = functools.partial(simulator.evaluate, simulation, sim)
    blank = jax.tree.map(lambda x: jnp.full(x.shape, jnp.nan, x.dtype), jax.eval_shape(measure))
    return sim, {**jax.lax.cond(evaluate, measure, lambda: blank), **info}


# One function for all runs of a process: a second run of the same shapes is not traced again.
CHUNK = jax.jit(_chunk, donate_argnums=1)


def _compile(simulation: Simulation, shapes: RunState) -> tuple[Callable, int]:
    """The compiled chunk, and the bytes it needs beside its data."""
    if simulation.mapping == "loop" or jax.config.jax_disable_jit:
        return _chunk, 0
    at = jax.ShapeDtypeStruct((), jnp.int32), jax.ShapeDtypeStruct((), jnp.bool_)
    chunk, mesh = CHUNK, simulation.mesh
    if mesh is not None:
        places, copies = by_rows(shapes, simulation.problem.n, mesh), everywhere(mesh)
        where = {"in_shardings": (copies, places, copies, copies), "out_shardings": (places, copies)}
        chunk = jax.jit(_chunk, donate_argnums=1, **where)
    compiled = chunk.lower(simulation, shapes, *at).compile()
    memory = compiled.memory_analysis()
    sharers = mesh.size if mesh is not None and jax.default_backend() == "cpu" else 1  # of one memory
    return compiled, sharers * (memory.temp_size_in_bytes + memory.output_size_in_bytes) if memory else 0


def _eager(mapping: Mapping) -> contextlib.AbstractContextManager:
    return jax.disable_jit() if mapping == "loop" else contextlib.nullcontext()


def _next(t: int, every: int) -> int:
    """The first multiple of `every` after `t`."""
    return (t // every + 1) * every


def _row(metrics: dict[str, jax.Array], sim: RunState, seconds: float) -> dict[str, Any]:
    """One evaluation on the host. Traffic is summed there, in float64: exact."""
    totals = {name: np.asarray(getattr(sim.traffic, name), np.float64) for name in ("bits", "messages")}
    sent = {f"{name}_sent": float(np.sum(total[0] - total[1])) for name, total in totals.items()}
    names = [*(name for name in COLUMNS if name in metrics), *(name for name in metrics if name not in COLUMNS)]
    return {"round": int(sim.t), "seconds": seconds, **sent, **{name: float(metrics[name]) for name in names}}


# A loss so many times the start's (or 1, where that is more) is no step on the way to a minimum.
EXPLODED = 1e3
LOSSES = ("mean_model_loss", "mean_loss")


def _unbounded(rows: list[dict[str, Any]]) -> int | None:
    """The round of the first evaluation whose loss is not finite, though the models are; None if there is none."""
    return next((row["round"] for row in rows if not all(math.isfinite(row.get(name, 0.0)) for name in LOSSES)), None)


def _exploded(rows: list[dict[str, Any]]) -> tuple[float, float] | None:
    """The first and the last loss, where the last is far beyond the first."""
    for name in LOSSES:
        if len(rows) > 1 and name in rows[0] and rows[-1][name] > EXPLODED * max(1.0, abs(rows[0][name])):
            return rows[0][name], rows[-1][name]
    return None


def _ending(
    broken: int, t: int, rounds: int, files: RunDir | None, rows: list[dict[str, Any]], simulation: Simulation
) -> tuple[str, str]:
    do = f"try a smaller rate{_narrow_words(simulation)}"
    if broken >= 0:
        return "diverged", f"diverged in round {broken}: a model is no longer finite; {_odd_data(simulation) or do}"
    unbounded = _unbounded(rows)
    if unbounded == 0:
        why = _odd_data(simulation) or "look at the data, the loss and the params that it starts from"
        return "diverged", f"diverged in round 0: the loss of the start is not finite; {why}"
    if unbounded is not None:
        return "diverged", f"diverged by round {unbounded}: the loss is no longer finite; {do}"
    if t < rounds:
        how = f"; go on with `{files.go_on}`" if files is not None else "; give a run_dir to be able to go on"
        return "interrupted", f"interrupted after round {t} of {rounds}{how}"
    losses = _exploded(rows)
    if losses is not None:
        return "diverged", f"diverged: the loss went from {losses[0]:.3g} to {losses[1]:.3g} in {rounds} rounds; {do}"
    return "finished", f"finished {rounds} rounds"


def _odd_data(simulation: Simulation) -> str | None:
    leaves = [leaf for leaf in jax.tree.leaves(simulation.problem) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    odd = any(not bool(jnp.all(jnp.isfinite(leaf))) for leaf in leaves)
    return "the problem holds numbers that are not finite (NaN or infinite): look at the data" if odd else None


def _narrowest(simulation: Simulation) -> tuple[str, float] | None:
    """The type of the network's messages that holds the smallest numbers only, and its largest, if it narrows any."""
    compressors = [layer.compressor for layer in layers(simulation.exchange) if isinstance(layer, Compressed)]
    types = [one.dtype for one in compressors if isinstance(one, HalfPrecision)]
    ranges = [(name, float(jnp.finfo(name).max)) for name in types]
    return min(ranges, key=lambda pair: pair[1], default=None)


def _narrow_words(simulation: Simulation) -> str:
    narrowest = _narrowest(simulation)
    if narrowest is None or narrowest[0] != "float16":
        return ""
    return ", or bfloat16 in place of float16, whose numbers end at 65,504, for the messages"


def _start_fits(simulation: Simulation, params: PyTree) -> None:
    """Check that the start is finite, and that messages can hold it.

    Raises:
      InputError: if not.
    """
    refuse.finite("params", params)
    narrowest = _narrowest(simulation)
    if narrowest is not None:
        name, most = narrowest
        largest = max((float(np.max(np.abs(leaf), initial=0)) for leaf in jax.tree.leaves(params)), default=0.0)
        need = f"need numbers up to {most:,.0f} for messages in {name}"
        checks.require(largest <= most, f"got params up to {largest:.3g}, {need}; use HalfPrecision('bfloat16')")
