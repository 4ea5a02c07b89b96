"""Distances between nodes, in links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csgraph, csr_array

from jdl.topology import forms
from jdl.topology.spectrum.periods import cycle_of
from jdl.topology.topology import Topology

__all__ = ["Diameter", "components", "diameter", "links_of_cycle"]

# The largest number of nodes and links to visit: a few seconds.
WORK = 2e9
SWEEPS = 8


class Diameter(NamedTuple):
    """The largest distance between two nodes, in links; if not `exact`, a lower bound of it."""

    links: int
    exact: bool


def diameter(topology: Topology | Sequence[Topology]) -> Diameter | None:
    """The largest number of links on a shortest path between two nodes; None if some node cannot reach all others.

    It uses breadth-first search from every node, up to some ten thousand nodes, and from one node where W is circulant,
    since all nodes are then equivalent. For larger graphs it uses eight double sweeps: the node furthest from a random
    one, and its distance to the node furthest from it (in an undirected graph; in a directed one, the furthest from 16
    random nodes). That gives a lower bound, which is usually the diameter itself, and is exact in a tree. For a cycle
    of topologies the links of all its rounds count equally.

    >>> from jdl.topology import exponential, ring
    >>> diameter(ring(9)), diameter(exponential(16)).links
    (Diameter(links=4, exact=True), 4)

    Args:
      topology: one topology, or one period of a cycle.

    Returns:
      The diameter in links and whether it is exact, or None.
    """
    phases = cycle_of(topology)
    n = phases[0].n
    if any(_all_meet(phase) for phase in phases):
        return Diameter(int(n > 1), True)
    if components(phases) > 1:
        return None
    links = links_of_cycle(phases)
    out = csr_array(links.T)  # the row of a link is its receiver, but a search goes from sender to receiver
    if all(phase.shifts is not None for phase in phases):
        return Diameter(_furthest(out, 0)[1], True)
    if n * (n + out.nnz) <= WORK:
        return Diameter(max(_furthest(out, node)[1] for node in range(n)), True)
    rng, symmetric = np.random.default_rng(0), (links != links.T).nnz == 0
    if not symmetric:
        return Diameter(max(_furthest(out, node)[1] for node in rng.choice(n, 2 * SWEEPS, replace=False)), False)
    ends = [_furthest(out, node)[0] for node in rng.choice(n, SWEEPS, replace=False)]
    tree = out.nnz == 2 * (n - 1)
    return Diameter(max(_furthest(out, node)[1] for node in set(ends)), tree)


def links_of_cycle(phases: Sequence[Topology]) -> csr_array:
    """0/1 `csr_array [n, n]`, a one at (receiver, sender) of every link that some round of a period uses."""
    links = forms.off_diagonal(phases[0].weights)
    links.data = np.ones_like(links.data)
    for phase in phases[1:]:
        links = links + forms.off_diagonal(phase.weights)
        links.data = np.ones_like(links.data)
    return csr_array(links)


def components(topology: Topology | Sequence[Topology]) -> int:
    """The number of (strongly) connected components; for a cycle of topologies, of the union of its rounds.

    >>> from jdl.topology import one_peer_exponential
    >>> components(one_peer_exponential(8)), components(one_peer_exponential(8)[1])
    (1, 2)
    """
    phases = cycle_of(topology)
    if any(_all_meet(phase) for phase in phases):
        return 1
    return csgraph.connected_components(links_of_cycle(phases), directed=True, connection="strong")[0]


def _all_meet(phase: Topology) -> bool:
    """Whether all nodes average in one group: W is then complete, and better not built."""
    return phase.groups is not None and len(np.unique(phase.groups)) == 1


def _furthest(out: csr_array, node: int) -> tuple[int, int]:
    """The last node that a breadth-first search from `node` reaches, and its distance."""
    order, before = csgraph.breadth_first_order(out, node, directed=True)
    last, links = int(order[-1]), 0
    while before[last] >= 0:
        last, links = int(before[last]), links + 1
    return int(order[-1]), links
