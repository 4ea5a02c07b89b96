"""The history of several seeds, as learning curves show it: means, with an interval in place of the extremes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jdl.show import intervals

__all__ = ["averaged", "seeds_of"]

KIND = "bootstrap"


def seeds_of(history: Any) -> int:
    """The number of seeds of a history, 1 if it has no such axis."""
    table = getattr(history, "columns", history)
    if not isinstance(table, Mapping):  # columns by name alone
        return 1
    return max((np.shape(values)[1] for values in table.values() if np.ndim(values) == 2), default=1)


def averaged(history: Any) -> Any:
    """Replace each column f[E, S] by its mean over seeds, and the extremes over nodes by an interval of that mean.

    Args:
      history: a history, or a mapping of columns, of E evaluations and S seeds. One without seeds is returned as it is.

    >>> found = averaged({"round": np.arange(1), "mean_loss": np.array([[1.0, 3.0]]), "worst_loss": np.ones((1, 2))})
    >>> found["mean_loss"], found["worst_loss"]
    (array([2.]), array([3.]))
    """
    table = getattr(history, "columns", history)
    if seeds_of(history) == 1:
        return history
    with np.errstate(invalid="ignore", over="ignore"):  # a seed that has diverged
        found = {name: values.mean(axis=1) if np.ndim(values) == 2 else values for name, values in table.items()}
        for what in ("loss", "accuracy"):
            if f"mean_{what}" not in table:
                continue
            values, optimum = table[f"mean_{what}"], 0.0
            if what == "loss" and "suboptimality" in table:  # each seed may have an optimum of its own
                optimum = table["mean_model_loss"] - table["suboptimality"]
            _, low, high = intervals.interval(values - optimum, KIND)
            if not np.isfinite(values[-1]).all():  # about numbers that grow without bound, a band fills the picture
                low = high = np.full(low.shape, np.nan)
            shift = np.mean(optimum, axis=1) if np.ndim(optimum) == 2 else optimum
            ends = {"worst": low, "best": high} if what == "accuracy" else {"worst": high, "best": low}
            found |= {f"{of}_{what}": end + shift for of, end in ends.items()}
    return found
