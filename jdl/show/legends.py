"""Legends below a figure, which cover no data and for which the figure grows."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["below"]

WRAPS = (60, 44, 34, 26)  # characters, after which the name of an entry may go on in a new line
SIZE = 9.5
PAD = 0.2  # inches around a legend
MAY_GROW = 1.0  # inches by which a figure may be wider if the legend is lower for it


def below(figure: Figure, handles: Sequence[Any], names: Sequence[str], title: str | None = None) -> None:
    """Write a legend below the axes, as low as its columns and lines can be. The figure grows by its height.

    Args:
      figure: the figure, with a constrained layout.
      handles: what the entries explain: artists.
      names: their texts.
      title: what the entries are, if that must be said.
    """
    if not handles:
        return

    def legend(columns: int, wrap: int) -> Any:
        texts = [textwrap.fill(name, wrap) for name in names]
        style = {"frameon": False, "fontsize": SIZE, "title_fontsize": SIZE, "alignment": "left"}
        spaces = {"handlelength": 2.4, "columnspacing": 1.6, "labelspacing": 0.35}
        return figure.legend(handles, texts, loc="outside lower left", ncols=columns, title=title, **style, **spaces)

    width = (figure.get_figwidth() + MAY_GROW) * figure.dpi
    ways = []
    for columns in range(min(5, len(handles)), 0, -1):
        for wrap in WRAPS:
            tried = legend(columns, wrap)
            box = tried.get_window_extent()
            tried.remove()
            too_wide = max(0, box.width + PAD * figure.dpi - width)
            ways.append((too_wide, box.height, box.width, -wrap, columns))
    _, height, broad, wrap, columns = min(ways)
    legend(columns, -wrap)
    wide, high = figure.get_size_inches()
    figure.set_size_inches(max(wide, broad / figure.dpi + PAD), high + height / figure.dpi)
