"""A confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jdl import checks
from jdl.show import legends, style
from jdl.show.heatmap import cells, name_cells

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["confusion"]


def confusion(matrix: np.ndarray, names: Sequence[str] | None = None, path: str | Path | None = None) -> Figure:
    """Draw a confusion matrix, each row divided by its number of examples.

    Args:
      matrix: i64[C, C] or f[C, C], the number of examples of each true class (rows) by predicted class (columns).
      names: the names of the C classes; by default their numbers.
      path: the file to write, if any; its ending gives the format.

    Returns:
      The figure, which a notebook displays.

    Raises:
      InputError: if the matrix is not square, holds negative numbers or none, or if there are too few names.

    >>> confusion(np.array([[8, 2], [1, 9]])).axes[0].get_ylabel()
    'true class'
    """
    matrix = np.asarray(matrix)
    checks.require(
        matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] and matrix.size > 0,
        f"got a confusion matrix of shape {matrix.shape}, need one row and one column for each class",
    )
    checks.require(
        bool(np.isfinite(matrix).all() and (matrix >= 0).all() and matrix.sum() > 0),
        "got a confusion matrix with negative or missing counts, or without any; need numbers of examples",
    )
    many = len(matrix)
    names = [str(one) for one in (range(many) if names is None else names)]
    checks.require(len(names) == many, f"got {len(names)} names for {many} classes; give one for each")
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.where(totals > 0, matrix / np.maximum(totals, 1e-300), np.nan)
    side = min(8.0, max(2.6, 0.52 * many))
    with style.picture((side + 1.9, side + 1.0), path, grid=False) as figure:
        ax = figure.subplots()
        name_cells(ax, names, names)
        cells(ax, shares, "{:.0%}", (0.0, 1.0))
        right = np.trace(matrix) / matrix.sum()
        ax.set(xlabel="predicted class", ylabel="true class")
        ax.set_title(f"{matrix.sum():,.0f} examples, {right:.1%} right;\nshares of each true class", fontsize=10.5)
        if (totals == 0).any():
            from matplotlib.patches import Patch

            legends.below(figure, [Patch(facecolor="white", edgecolor="#b0b0b0", label="no examples of this class")])
    return figure
