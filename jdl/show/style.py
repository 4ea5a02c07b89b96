"""The style of all pictures, and how they are written and displayed."""

from __future__ import annotations

import functools
import io
import os
from typing import TYPE_CHECKING

from jdl import checks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "GRID", "INK", "STYLE", "display_in_notebooks", "save"]

# The palette of Okabe and Ito, whose colours colour-blind readers can distinguish.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, GRID = "#404040", "#e4e4e4"

STYLE = {
    "font.size": 10.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9a9a9a",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}


def save(figure: Figure, path: str | os.PathLike[str], dpi: int) -> None:
    """Write a picture to a file.

    Args:
      figure: the picture.
      path: the file; its ending gives the format, "~" is the home directory.
      dpi: the resolution, in dots per inch.

    Raises:
      InputError: if the file cannot be written, or if matplotlib does not know its ending.
    """
    try:
        figure.savefig(checks.path(path), dpi=dpi)
    except (OSError, ValueError) as error:
        need = "need a file that can be written, with an ending such as .png, .svg or .pdf; try graph.png"
        raise checks.InputError(f"got path={str(path)!r} ({error}), {need}") from error


def display_in_notebooks(figure: Figure) -> None:
    """Let notebooks display a figure. They do so by themselves only after an import of pyplot, which jdl avoids."""
    figure._repr_png_ = functools.partial(_png, figure)


def _png(figure: Figure) -> bytes:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()
