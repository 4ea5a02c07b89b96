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


def below(figure: Figure, handles: Sequence[Any], title: str | None = None) -> None:
    """Write a legend below the axes, with as many columns as fit. The figure grows by its height.

    Args:
      figure: the figure, with a constrained layout.
      handles: what the entries explain: artists with labels.
      title: what the entries are, if that must be said.
    """
    if not handles:
        return

    def legend(columns: int, texts: Sequence[str]) -> Any:
        style = {"frameon": False, "fontsize": SIZE, "title_fontsize": SIZE, "alignment": "left"}
        spaces = {"handlelength": 2.4, "columnspacing": 1.6, "labelspacing": 0.35}
        return figure.legend(handles, texts, loc="outside lower left", ncols=columns, title=title, **style, **spaces)

    width = (figure.get_figwidth() + MAY_GROW) * figure.dpi
    wrapped = [tuple(textwrap.fill(handle.get_label(), wrap) for handle in handles) for wrap in WRAPS]
    for columns in range(min(5, len(handles)), 0, -1):
        ways = []
        for texts in dict.fromkeys(wrapped):
            tried = legend(columns, texts)
            box = tried.get_window_extent()
            tried.remove()
            ways.append((max(0, box.width + PAD * figure.dpi - width), box.height, box.width, texts))
        too_wide, height, broad, texts = min(ways)
        if too_wide == 0:
            break
    legend(columns, texts)
    wide, high = figure.get_size_inches()
    figure.set_size_inches(max(wide, broad / figure.dpi + PAD), high + height / figure.dpi)
