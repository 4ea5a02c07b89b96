"""Legends below a figure, which cover no data and for which the figure grows."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["below"]

WRAPS = (60, 44, 34, 26)  # characters, after which the name of an entry may go on in a new line
SIZE = 9.5
SPACES = {"handlelength": 2.4, "columnspacing": 1.6, "labelspacing": 0.35}  # in widths of the letter m
PAD = 0.2  # inches around a legend
MAY_GROW = 1.0  # inches by which a figure may be wider if the legend is lower for it


def below(figure: Figure, handles: Sequence[Any], title: str | None = None) -> None:
    """Write a legend below the axes, in the lowest way that fits. The figure grows by its height.

    Args:
      figure: the figure, with a constrained layout.
      handles: what the entries explain: artists with labels.
      title: what the entries are, if that must be said.
    """
    if not handles:
        return
    most = (figure.get_figwidth() + MAY_GROW) * figure.dpi
    ways = []
    for wrap in WRAPS:
        texts = [textwrap.fill(handle.get_label(), wrap) for handle in handles]
        for columns in range(1, min(5, len(handles)) + 1):
            wide, high = _size(figure, texts, columns)
            ways.append((max(0, wide - most), high, columns, -wrap, texts))
    _, _, columns, _, texts = min(ways)
    style = {"frameon": False, "fontsize": SIZE, "title_fontsize": SIZE, "alignment": "left", **SPACES}
    legend = figure.legend(handles, texts, loc="outside lower left", ncols=columns, title=title, **style)
    box = legend.get_window_extent()
    wide, high = figure.get_size_inches()
    figure.set_size_inches(max(wide, box.width / figure.dpi + PAD), high + box.height / figure.dpi)


def _size(figure: Figure, texts: Sequence[str], columns: int) -> tuple[float, float]:
    """About the width and the height of a legend in pixels. To make one for each way to arrange it takes seconds."""
    from matplotlib.font_manager import FontProperties

    measure, font = figure.canvas.get_renderer().get_text_width_height_descent, FontProperties(size=SIZE)
    em = SIZE * figure.dpi / 72
    parts = np.array_split(np.array(texts, dtype=object), columns)
    widths = [max(measure(line, font, False)[0] for text in part for line in text.split("\n")) for part in parts]
    heights = [sum(1.2 * em * (text.count("\n") + 1) + SPACES["labelspacing"] * em for text in part) for part in parts]
    apart = (SPACES["handlelength"] + 0.8) * columns + SPACES["columnspacing"] * (columns - 1)
    return sum(widths) + apart * em + PAD * figure.dpi, max(heights)
