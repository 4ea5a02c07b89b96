"""What theory predicts, laid over measured curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jdl.show.style import INK
from jdl.theory import Prediction, factors_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["caption", "handle", "lay", "over"]

ROUNDING = 1e-12  # predicted values below this part of the largest are zero, and left out of a logarithmic axis
LOOK = {"color": INK, "linewidth": 1.3, "linestyle": (0, (1, 1.4)), "zorder": 3.5}


def lay(axes: Axes, theory: Prediction, column: str, label: str | None = None, above: float = 0.0) -> None:
    """Draw the prediction of a column, and the band in which the mean over seeds lies with a probability of 95 %.

    Args:
      axes: where; nothing is drawn if the column is not predicted.
      theory: the prediction.
      column: its name.
      label: the entry of the line in a legend.
      above: what is subtracted, such as the loss of the optimum.
    """
    if column not in theory.columns:
        return
    low, high = theory.band(column)
    shown = [values - above for values in (theory.columns[column], low, high)]
    if axes.get_yscale() == "log":
        zero = shown[0] <= ROUNDING * np.max(shown[0])
        smallest = np.min(shown[0][~zero], initial=np.inf) / 10
        shown = [np.where(zero, np.nan, values) for values in (shown[0], np.maximum(shown[1], smallest), shown[2])]
    axes.plot(theory.rounds, shown[0], label=label, **LOOK)
    axes.fill_between(theory.rounds, *shown[1:], color=INK, alpha=0.12, linewidth=0)


def caption(history: Mapping[str, np.ndarray], theory: Prediction, column: str) -> str:
    """The name of the line of a prediction, with the factors by which both curves shrink in a round."""
    factors = factors_beside(history, theory, column) if column in theory.columns else None
    if factors is None:
        return "theory, 95% band of the mean"
    measured = factors.measured
    interval = f"{measured.factor:.4f} ({measured.low:.4f} to {measured.high:.4f})"
    return f"theory, 95% band of the mean\nfactor a round {factors.predicted.factor:.4f}, measured {interval}"


def over(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Draw a predicted line over that of a run, f[E] each."""
    axes.plot(x, y, **LOOK)


def handle() -> Any:
    """The entry of such lines in a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label="theory", **LOOK)
