"""How all pictures look."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jdl import checks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "GRID", "INK", "STYLE", "save"]

# Okabe and Ito's palette, which colour-blind readers can tell apart too.
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
    """Write a picture; the ending of `path` says in which format, "~" is the home.

    Raises:
      InputError: if it cannot be written there, or has an ending that matplotlib does not know.
    """
    try:
        figure.savefig(checks.path(path), dpi=dpi)
    except (OSError, ValueError) as error:
        need = "need a file that can be written, with an ending such as .png, .svg or .pdf; try graph.png"
        raise checks.InputError(f"got path={str(path)!r} ({error}), {need}") from error
