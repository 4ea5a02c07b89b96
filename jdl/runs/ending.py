"""How a run ended: its status, and a sentence for the user."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl.engine.state import Simulation
from jdl.runs.contraction import expanding
from jdl.runs.goal import Goal
from jdl.runs.history import Row
from jdl.runs.message_range import smallest_range

__all__ = ["ending", "first_infinite_loss", "has_finite_loss"]

# A run has diverged if its last loss is larger than this many times its first loss (or than this number, where the
# first loss is below 1).
EXPLODED = 1e3
FAR = 1.1  # times a limit: a run that has spent so much of it says so
LOSSES = ("mean_model_loss", "mean_loss")


def has_finite_loss(row: Row) -> bool:
    """Whether a loss of an evaluation is finite: of several runs side by side, that of at least one.

    >>> has_finite_loss({"mean_loss": float("inf")}), has_finite_loss({"mean_loss": np.array([1.0, np.inf])})
    (False, True)
    """
    return all(np.any(np.isfinite(row[name])) for name in LOSSES if name in row)


def first_infinite_loss(rows: list[Row]) -> int | None:
    """The round of the first evaluation whose loss is infinite or NaN, though the models are finite; None without one.

    >>> first_infinite_loss([{"round": 0, "mean_loss": 1.0}, {"round": 10, "mean_loss": float("nan")}])
    10
    """
    return next((row["round"] for row in rows if not has_finite_loss(row)), None)


def ending(
    simulation: Simulation,
    *,
    diverged_round: int,
    t: int,
    rounds: int,
    rows: list[Row],
    go_on: str | None,
    goal: Goal | None = None,
) -> tuple[str, str]:
    """The status of a run that has ended, and a sentence that explains it.

    Args:
      simulation: the composed simulation.
      diverged_round: the round after which a model was no longer finite, or a negative number if all models are finite.
      t: the number of rounds that were run.
      rounds: the number of rounds that were asked for.
      rows: the evaluations.
      go_on: how the caller resumes the run, or None if it was not saved.
      goal: what ends the run before, if anything.

    Returns:
      The status, "finished", "reached", "diverged" or "interrupted", and the sentence.
    """
    advice = expanding(simulation) or f"try a smaller rate{_advice_on_float16(simulation)}"
    if diverged_round >= 0:
        why = _advice_on_data(simulation) or advice
        return "diverged", f"diverged in round {diverged_round}: a model is no longer finite; {why}"
    infinite = first_infinite_loss(rows)
    if infinite == 0:
        why = _advice_on_data(simulation) or "look at the data, the loss and the params that it starts from"
        return "diverged", f"diverged in round 0: the loss of the start is not finite; {why}"
    if infinite is not None:
        return "diverged", f"diverged by round {infinite}: the loss is no longer finite; {advice}"
    if goal is not None and rows and goal.reached(rows[-1]):
        return "reached", f"reached {goal} after round {rows[-1]['round']} of {rounds}{_beyond(goal, rows)}"
    if t < rounds:
        how = f"; go on with `{go_on}`" if go_on is not None else "; give a run_dir to be able to go on"
        return "interrupted", f"interrupted after round {t} of {rounds}{how}"
    losses = _exploded(rows)
    if losses is not None:
        first, last = losses
        return "diverged", f"diverged: the loss went from {first:.3g} to {last:.3g} in {rounds} rounds; {advice}"
    return "finished", f"finished {rounds} rounds"


def _beyond(goal: Goal, rows: list[Row]) -> str:
    """How far a run went beyond a limit of what it may spend, where that is far, since evaluations are."""
    last = rows[-1]
    for column, limit in goal.limits:
        apart = last["round"] - rows[-2]["round"] if len(rows) > 1 else 1
        if apart > 1 and last.get(column, 0) > FAR * limit > 0:
            return f", at {column} = {last[column]:.4g}: evaluations are {apart} rounds apart; try a smaller eval_every"
    return ""


def _exploded(rows: list[dict[str, Any]]) -> tuple[float, float] | None:
    """The first and the last loss, if the last is far above the first; otherwise None."""
    for name in LOSSES:
        if len(rows) > 1 and name in rows[0] and rows[-1][name] > EXPLODED * max(1.0, abs(rows[0][name])):
            return rows[0][name], rows[-1][name]
    return None


def _advice_on_data(simulation: Simulation) -> str | None:
    """What to do if the problem itself holds numbers that are not finite; otherwise None."""
    leaves = [leaf for leaf in jax.tree.leaves(simulation.problem) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return (
        None if _finite(leaves) else "the problem holds numbers that are not finite (NaN or infinite): look at the data"
    )


def _advice_on_float16(simulation: Simulation) -> str:
    """What else may help where messages are sent as float16, whose range is small."""
    smallest = smallest_range(simulation)
    if smallest is None or smallest[0] != "float16":
        return ""
    return ", or bfloat16 in place of float16, whose numbers end at 65,504, for the messages"


@jax.jit  # eager, it would be a program for each shape
def _finite(leaves: list[jax.Array]) -> jax.Array:
    """Whether all numbers are finite."""
    return jnp.all(jnp.asarray([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))
