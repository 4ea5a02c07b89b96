"""The style of all pictures, and how they are written and displayed."""

from __future__ import annotations

import contextlib
import functools
import io
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from jdl import checks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "DASHES",
    "GRID",
    "INK",
    "STYLE",
    "STYLE_OF_CURVES",
    "display_in_notebooks",
    "picture",
    "png",
    "save",
]

# The palette of Okabe and Ito, whose colours colour-blind readers can distinguish.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, GRID = "#404040", "#e4e4e4"
# Lines of one colour differ by these: matplotlib's (offset, (drawn, left out, ...)) in widths of the line.
DASHES = ("solid", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))

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

STYLE_OF_CURVES = STYLE | {
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "ytick.minor.size": 0,
    "xtick.minor.size": 0,
}


@contextlib.contextmanager
def picture(
    inches: tuple[float, float], path: str | os.PathLike[str] | None = None, *, grid: bool = True
) -> Iterator[Figure]:
    """Give a new figure to draw on in the style of all pictures; afterwards write it, and let notebooks display it.

    Args:
      inches: the width and the height.
      path: the file to write, if any; see `save`.
      grid: whether axes have a grid.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE_OF_CURVES if grid else STYLE):
        figure = Figure(figsize=inches, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        if path is not None:
            save(figure, path, dpi=160)
    display_in_notebooks(figure)


def save(figure: Figure, path: str | os.PathLike[str], dpi: int) -> None:
    """Write a picture to a file.

    Args:
      figure: the picture.
      path: the file; its ending gives the format, "~" is the home directory. Folders above it are made.
      dpi: the resolution, in dots per inch.

    Raises:
      InputError: if the file cannot be written, or if matplotlib does not know its ending.
    """
    file = checks.path(path)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)  # a run of hours is not to end with "no such directory"
        figure.savefig(file, dpi=dpi)
    except (OSError, ValueError) as error:
        need = "need a file that can be written, with an ending such as .png, .svg or .pdf; try graph.png"
        raise checks.InputError(f"got path={str(path)!r} ({error}), {need}") from error


def display_in_notebooks(figure: Figure) -> None:
    """Let notebooks display a figure. They do so by themselves only after an import of pyplot, which jdl avoids."""
    figure._repr_png_ = functools.partial(png, figure)


def png(figure: Figure) -> bytes:
    """The bytes of a picture in the format PNG."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()
