"""What each node learns of each other one, as a map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jdl import checks
from jdl.show import heatmap, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["privacy_matrix"]


def privacy_matrix(
    matrix: np.ndarray,
    path: str | Path | None = None,
    *,
    what: str = "mu, in standard deviations of the noise",
    form: str = "{:.2g}",
) -> Figure:
    """Draw what node j learns of node i: a row for each node that has a secret, a column for each that looks on.

    Args:
      matrix: f[n, n], such as `jdl.privacy.pairwise_mu`, its `epsilon_of_mu`, or the AUC of an attack. What is not
        finite, as on the diagonal, has no colour.
      path: the file to write, if any; its ending gives the format.
      what: the unit of the numbers, for the title.
      form: the format of the numbers in cells.

    Returns:
      The figure, which a notebook displays.

    Raises:
      InputError: if the matrix is not square.
    """
    matrix = np.asarray(matrix, float)
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]
    checks.require(square, f"got a matrix of shape {matrix.shape}, need [n, n]; give jdl.privacy.pairwise_mu(W)")
    names = [str(node) for node in range(len(matrix))]
    with style.picture(heatmap.size(names, names), path, grid=False) as figure:
        ax = figure.subplots()
        figure.suptitle(f"what a node learns of another: {what}", fontsize=10.5)
        heatmap.name_cells(ax, names, names)
        heatmap.cells(ax, np.where(np.isfinite(matrix), matrix, np.nan), form)
        ax.set(xlabel="node that looks on", ylabel="node with the secret")
    return figure
