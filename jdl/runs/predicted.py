"""What theory predicts of runs, for their pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jdl import checks
from jdl.engine.sim import Simulation
from jdl.runs.history import History
from jdl.theory import Prediction, predict
from jdl.types import PyTree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["pictured", "prediction_of"]

# Relative to its size, a loss in float32 is off by no more than this before the first round.
ROUNDING = 1e-3


def prediction_of(history: History, simulations: Sequence[Simulation], start: PyTree | None = None) -> Prediction:
    """What theory predicts of runs at the rounds at which they were evaluated.

    Args:
      history: their evaluations.
      simulations: the simulation of each seed.
      start: the model, or the models, with which they began; None if their seeds drew them.

    Raises:
      InputError: if theory has no exact prediction for them (see `jdl.theory.predict`), or if they began at another
        model than the one that their seeds draw.
    """
    prediction = predict(simulations, history["round"], params=start)
    first = float(np.mean(history["mean_loss"][0]))
    expected = float(prediction.columns["mean_loss"][0])
    got = f"got a run that began with a mean loss of {first:.6g}, where the start of its seed has {expected:.6g}"
    need = "need a run from that start, for which theory=True predicts"
    do = "give the picture theory=jdl.theory.predict(result.simulation, result.history['round'], params=...)"
    checks.require(abs(first - expected) <= ROUNDING * max(abs(first), abs(expected), 1.0), f"{got}, {need}; or {do}")
    return prediction


def pictured(
    name: str,
    history: History,
    n: int,
    simulations: Callable[[], Sequence[Simulation]],
    path: str | Path | None,
    theory: bool | Prediction,
    start: PyTree | None = None,
    x: str = "rounds",
) -> Figure:
    """The learning curves of one run, or of several seeds of it, with the prediction of theory if it is asked for."""
    from jdl.show import plots

    good = isinstance(theory, bool | Prediction)
    checks.require(good, f"got theory={theory!r}, need True, or what jdl.theory.predict returns; try theory=True")
    if theory is True:
        theory = prediction_of(history, simulations(), start)
    return plots.curves({name: history}, path, nodes=n, theory=theory or None, x=x)
