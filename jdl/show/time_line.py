"""A time line of nodes: when each of them computes, and when it waits. Nothing is run here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jdl.show import style
from jdl.show.style import COLOURS, INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["time_line"]

WAITING = "#dcdcdc"
LEAST = 0.004  # of the width; the ends of rounds that follow one another faster are not marked


def time_line(
    computing: Sequence[np.ndarray], ends: np.ndarray, names: Sequence[str], path: str | Path | None = None
) -> Figure:
    """Draw the time line of nodes.

    Args:
      computing: for each node the begin and the end of each bar, f[b, 2] in seconds.
      ends: f[T, k], the second at which each of k nodes ends each round; NaN for rounds in which it takes no part.
      names: the nodes.
      path: the file to write, if any; its ending gives the format.

    Returns:
      The figure, which a notebook displays.

    >>> figure = time_line([np.array([[0.0, 1.0]])], np.array([[1.5]]), ["0"])
    >>> figure.axes[0].get_xlabel()
    'simulated time, s'
    """
    last = float(np.nanmax(ends)) if np.isfinite(ends).any() else 1.0
    with style.picture((9.5, 1.5 + 0.28 * len(names)), path) as figure:
        axes = figure.subplots()
        for place, bars in enumerate(computing):
            over = float(np.nanmax(ends[:, place])) if np.isfinite(ends[:, place]).any() else 0.0
            axes.broken_barh([(0, over)], (place - 0.36, 0.72), color=WAITING, linewidth=0)
            wide = [(begin, end - begin) for begin, end in bars if end > begin]
            axes.broken_barh(wide, (place - 0.36, 0.72), color=COLOURS[0], linewidth=0)
        for place in range(len(names)):
            marks = ends[:, place][np.isfinite(ends[:, place])]
            if marks.size and np.min(np.diff(marks, prepend=0.0), initial=last) > LEAST * last:
                axes.vlines(marks, place - 0.42, place + 0.42, color=INK, linewidth=1.1, clip_on=False)
        axes.set(xlim=(0, last), ylim=(len(names) - 0.5, -0.5), xlabel="simulated time, s", ylabel="node")
        axes.set_yticks(range(len(names)), names)
        axes.spines["left"].set_visible(False)
        figure.legend(handles=_handles(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _handles() -> list:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    bars = [Patch(color=COLOURS[0], label="computes"), Patch(color=WAITING, label="waits")]
    mark = {"marker": "|", "markersize": 11, "linestyle": "none", "markeredgewidth": 1.3}
    return [*bars, Line2D([], [], color=INK, label="ends a round", **mark)]
