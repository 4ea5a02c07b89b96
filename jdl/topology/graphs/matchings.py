"""The decomposition of a graph into matchings, in each of which every node has at most one partner."""

from __future__ import annotations

import itertools

import numpy as np

from jdl import checks
from jdl.topology.topology import Topology

__all__ = ["edge_colouring", "matchings"]


def edge_colouring(n: int, edges: np.ndarray) -> np.ndarray:
    """A colouring of edges in which the edges of a node differ, with at most one colour more than the largest degree.

    Args:
      n: number of nodes.
      edges: `int[e, 2]`, the edges of a graph, each once.

    Returns:
      `int[e]`, colours numbered from 0.

    >>> import numpy as np
    >>> edge_colouring(4, np.array([[0, 1], [1, 2], [2, 3], [0, 3]]))
    array([0, 1, 0, 1])

    References:
      Misra, Gries, "A constructive proof of Vizing's theorem", Information Processing Letters 41, 1992.
    """
    colours = 1 + int(np.bincount(edges.ravel(), minlength=n).max(initial=0))
    mate = [[-1] * colours for _ in range(n)]  # mate[v][c]: the other end of the edge of colour c at v

    def paint(u: int, v: int, colour: int) -> None:
        mate[u][colour], mate[v][colour] = v, u

    def wipe(u: int, v: int, colour: int) -> None:
        mate[u][colour] = mate[v][colour] = -1

    for u, v in edges.tolist():
        both = next((colour for colour in range(colours) if mate[u][colour] < 0 and mate[v][colour] < 0), None)
        if both is not None:
            paint(u, v, both)
            continue
        fan = [v]  # neighbours of u; the colour of the edge to each one is free at its predecessor in the fan
        while True:
            last = mate[fan[-1]]
            more = [w for c, w in enumerate(mate[u]) if w >= 0 and last[c] < 0 and w not in fan]
            if not more:
                break
            fan.append(more[0])
        c, d = mate[u].index(-1), last.index(-1)
        path, colour = [u], d  # from u along edges of alternating colours d and c; swapping these frees d at u
        while mate[path[-1]][colour] >= 0:
            path.append(mate[path[-1]][colour])
            colour = c if colour == d else d
        steps = list(itertools.pairwise(path))
        for number, (a, b) in enumerate(steps):
            wipe(a, b, c if number % 2 else d)
        for number, (a, b) in enumerate(steps):
            paint(a, b, d if number % 2 else c)
        end = 0  # the first node of the fan at which d is free; up to there it is still a fan
        while mate[fan[end]][d] >= 0:
            end += 1
        for here, following in itertools.pairwise(fan[: end + 1]):
            colour = mate[u].index(following)
            wipe(u, following, colour)
            paint(u, here, colour)
        paint(u, fan[end], d)
    return np.array([mate[u].index(v) for u, v in edges.tolist()], int)


def matchings(topology: Topology) -> np.ndarray:
    """`int[M, n]`, M matchings that hold every edge once: the partner of each node in each, or the node itself.

    M is the largest degree, or one more: see `edge_colouring`.

    >>> from jdl.topology import ring
    >>> matchings(ring(4))
    array([[1, 0, 3, 2],
           [3, 2, 1, 0]])

    Raises:
      InputError: if W is not symmetric.
    """
    need = f"got {topology.name!r} whose W is not symmetric, a matching needs links both ways; use an undirected graph"
    checks.require(topology.symmetric, need)
    edges = topology.edges.reshape(-1, 2)
    _, colour = np.unique(edge_colouring(topology.n, edges), return_inverse=True)
    partners = np.tile(np.arange(topology.n), (int(colour.max(initial=-1)) + 1, 1))
    partners[colour, edges[:, 0]], partners[colour, edges[:, 1]] = edges[:, 1], edges[:, 0]
    return partners
