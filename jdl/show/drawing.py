"""Pictures of graphs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from jdl import checks
from jdl.show.layout import circle, springs
from jdl.show.plots import STYLE
from jdl.show.style import INK, display_in_notebooks, save
from jdl.topology import Topology, forms
from jdl.topology.spectrum.distances import links_of_cycle
from jdl.topology.spectrum.periods import cycle_of
from jdl.topology.spectrum.sampled import sample_rounds
from jdl.types import Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure

__all__ = ["draw"]

PANELS = 6  # the greatest number of rounds of a cycle that are drawn
SAMPLED = 3  # the number of rounds of a schedule that are drawn
MOST_LINKS = 60_000  # more links would cover the page, and take a minute
NUMBERED = 64  # the greatest number of nodes that are numbered
LINK = "#6b6b6b"
ARROWS = 600  # the greatest number of links that are drawn as arrows; in larger graphs no direction can be seen


def draw(
    topology: Topology | Sequence[Topology] | Schedule, path: str | Path | None = None, *, seed: int = 0
) -> Figure:
    """Draw the nodes and links of a topology, with one panel for each round of a cycle or of a schedule.

    The colour of a node shows the number of links into it. Nodes lie at the topology's own positions if it has some; on
    a circle if W is circulant, or for a schedule; otherwise where springs along the links (of all rounds of a cycle)
    pull them. The first six rounds of a cycle are drawn, and the first three of a schedule.

    Args:
      topology: a topology, the topologies of one period of a cycle, or a schedule.
      path: the file to write, if any; its ending gives the format.
      seed: the seed of the rounds of a schedule, as in a run.

    Returns:
      The figure, which a notebook displays.

    Raises:
      InputError: if a round has more than 60,000 links, or if the file cannot be written.

    >>> from jdl.topology import one_peer_exponential
    >>> [axes.get_title() for axes in draw(one_peer_exponential(8)).axes[:3]]
    ['round 0', 'round 1', 'round 2']
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rounds, positions, title = _parts(topology, seed)
    columns = 2 if len(rounds) == 4 else min(3, len(rounds))
    lines = -(-len(rounds) // columns)
    with matplotlib.rc_context(STYLE):
        side = 7.0 if len(rounds) == 1 else 4.0
        figure = Figure(figsize=(side * columns + 1.0, side * lines + 0.4), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(lines, columns, squeeze=False).ravel()
        degrees = [np.diff(links.indptr) for links in rounds]
        span = min(map(np.min, degrees)), max(map(np.max, degrees))
        for t, (axes, links, degree) in enumerate(zip(grid, rounds, degrees, strict=False)):
            points = _panel(axes, links, positions, degree, span)
            axes.set_title(f"round {t}" if len(rounds) > 1 else "")
        for axes in grid[len(rounds) :]:
            axes.set_visible(False)
        if span[0] < span[1]:
            bar = figure.colorbar(points, ax=list(grid), shrink=0.6, label="links into the node")
            bar.outline.set_visible(False)
            bar.ax.yaxis.get_major_locator().set_params(integer=True)
        figure.suptitle(title, fontsize=11)
        if path is not None:
            save(figure, path, dpi=160)
    display_in_notebooks(figure)
    return figure


def _parts(topology: Topology | Sequence[Topology] | Schedule, seed: int) -> tuple[list[csr_array], np.ndarray, str]:
    """The links of each round to draw, the positions of the nodes, `[n, 2]`, and the title."""
    if not isinstance(topology, Topology | list | tuple):
        rounds = [forms.off_diagonal(W) for W in sample_rounds(topology, SAMPLED, seed)]
        title = f"{type(topology).__name__}, {topology.n:,} nodes: the first {SAMPLED} rounds"
        _few(max(links.nnz for links in rounds))
        return rounds, circle(topology.n), title
    phases = cycle_of(topology)
    _few(max(int(phase.degree.sum()) for phase in phases[:PANELS]))
    first, n, every = phases[0], phases[0].n, len(phases)
    title = f"{first.name.partition(', phase')[0]}, {n:,} node{'s' * (n != 1)}"
    if every > 1:
        title += f": {'all' if every <= PANELS else f'the first {PANELS} of'} {every} rounds of a period"
    if first.positions is not None:
        positions = np.asarray(first.positions, float)
    elif all(phase.shifts is not None for phase in phases) or all(phase.groups is not None for phase in phases):
        positions = circle(n)
    else:
        positions = springs(links_of_cycle(phases))
    return [forms.off_diagonal(phase.weights) for phase in phases[:PANELS]], positions, title


def _few(links: int) -> None:
    need = f"got {links:,} links, a picture shows {MOST_LINKS:,} at most; draw a smaller graph of the same kind"
    checks.require(links <= MOST_LINKS, need)


def _panel(
    axes: Axes, links: csr_array, positions: np.ndarray, degree: np.ndarray, span: tuple[int, int]
) -> PathCollection:
    """Draw one round: nodes above links, both smaller and fainter in larger graphs."""
    from matplotlib.collections import LineCollection

    n, pairs = len(degree), np.stack(links.tocoo().coords, axis=1)
    directed = (links != links.T).nnz > 0
    pairs = pairs if directed else pairs[pairs[:, 0] < pairs[:, 1]]
    size = float(np.clip(9000 / n, 4, 260))
    width, alpha = (
        float(np.clip(30 / math.sqrt(n + len(pairs)), 0.25, 1.4)),
        float(np.clip(800 / (len(pairs) + 1), 0.15, 0.8)),
    )
    if directed and len(pairs) <= ARROWS:
        look = {"arrowstyle": "-|>", "color": LINK, "linewidth": width, "alpha": alpha, "shrinkB": math.sqrt(size) / 2}
        look |= {"mutation_scale": 5 + 6 * width, "connectionstyle": "arc3,rad=0.08"}
        for receiver, sender in pairs:
            axes.annotate("", positions[receiver], positions[sender], arrowprops=look)
    else:
        lines = _around(positions, pairs)
        axes.add_collection(LineCollection(lines, colors=LINK, linewidths=width, alpha=alpha, rasterized=n > 2000))
    low, high = span
    points = axes.scatter(
        *positions.T, s=size, c=degree, cmap="viridis_r", vmin=low - (low == high), vmax=high, zorder=2,
        edgecolors="white", linewidths=0.4 if n <= 300 else 0,
    )  # fmt: skip
    if n <= NUMBERED:
        middle = (low + high) / 2
        for node, place in enumerate(positions):
            colour = "white" if degree[node] > middle or low == high else INK
            axes.annotate(str(node), place, ha="center", va="center", fontsize=8, color=colour, zorder=3)
    axes.set_aspect("equal")
    axes.margins(0.06)
    axes.set_axis_off()
    return points


def _around(positions: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The course of each link; bent if a straight line would run along an axis through other nodes.

    The links by which a torus wraps around are such links; straight lines would be hidden behind the nodes.

    Args:
      positions: float[n, 2], the positions of the nodes.
      pairs: int[e, 2], the two nodes of each link.

    Returns:
      float[e, points, 2].
    """
    ends = positions[pairs]
    step = ends[:, 1] - ends[:, 0]
    bowed = np.zeros(len(pairs), bool)
    for axis in (0, 1):
        for link in np.flatnonzero(step[:, axis] == 0):
            line = positions[positions[:, axis] == ends[link, 0, axis], 1 - axis]
            low, high = np.sort(ends[link, :, 1 - axis])
            bowed[link] |= np.any((line > low) & (line < high))
    if not bowed.any():
        return ends
    t = np.linspace(0, 1, 25)[None, :, None]
    across = np.stack([-step[:, 1], step[:, 0]], axis=1)[:, None, :] * bowed[:, None, None]
    return ends[:, :1] + t * step[:, None, :] + 0.12 * np.sin(np.pi * t) * across
