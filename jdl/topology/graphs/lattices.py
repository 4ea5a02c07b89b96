"""Lattices: ring, chain, grid, torus, hypercube."""

from __future__ import annotations

import functools

import numpy as np

from jdl import checks
from jdl.topology.graphs.boxes import along_axes, on_a_plane, sides_of
from jdl.topology.graphs.linked import linked
from jdl.topology.topology import Topology, circulant

__all__ = ["chain", "grid", "hypercube", "ring", "torus"]


def ring(n: int) -> Topology:
    """Every node talks to its two neighbours on a circle.

    W = (I + P + P^-1) / 3 with the cyclic shift P. The eigenvalues are (1 + 2 cos(2 pi j / n)) / 3, so
    lambda_2 = (1 + 2 cos(2 pi / n)) / 3 for n >= 4, and the spectral gap closes like 1 / n^2. lambda_2 is 0 for n <= 3,
    where the ring is complete; n = 2 is one edge with W = 1/2 everywhere, n = 1 an isolated node.

    Sends:
      2 messages per node and round.

    Args:
      n: number of nodes, at least 1.

    >>> ring(8)
    <ring: 8 nodes, 8 edges, degree 2, doubly stochastic, symmetric>
    """
    n = checks.whole("n", n, 1)
    return circulant("ring", n, {1: (), 2: (1,)}.get(n, (1, -1)))


def chain(n: int) -> Topology:
    """Every node talks to its predecessor and its successor on a line: the tree that mixes most slowly.

    W = 1/3 on every edge (1/2 for n = 2). The eigenvalues are (1 + 2 cos(pi j / n)) / 3 for j < n, so for n >= 3
    lambda_2 = (1 + 2 cos(pi / n)) / 3, and the spectral gap closes like 1 / n^2, four times below that of the ring.

    Sends:
      2 messages per node and round, 1 from the two ends.

    Args:
      n: number of nodes, at least 1.

    >>> chain(8)
    <chain: 8 nodes, 7 edges, degree 1 to 2, doubly stochastic, symmetric>
    """
    n = checks.whole("n", n, 1)

    def spectrum() -> np.ndarray:
        return 1 - (2 - 2 * np.cos(np.pi * np.arange(n) / n)) / (3 if n > 2 else 2)  # from the Laplacian's eigenvalues

    return linked("chain", n, along_axes((n,), wraps=False), spectrum)


def grid(n: int, rows: int | None = None) -> Topology:
    """Every node talks to the nodes above, below, left and right of it on a rectangle.

    Node i lies in row `i // columns`, column `i % columns`. The weights are Metropolis weights: 1/5 between inner
    nodes, 1/4 along the border and 1/3 between two corners. So W is not a function of the Laplacian and has no
    closed-form spectrum. The gap closes like 1 / n on a square.

    Sends:
      4 messages per node and round, 3 on the border, 2 in the corners.

    Args:
      n: number of nodes, a product of two integers of at least 2.
      rows: number of rows, a divisor of n; by default the largest divisor that is at most sqrt(n).

    Raises:
      InputError: if n (or n with these rows) does not make a grid; the message names the nearest n that does.

    >>> grid(12)
    <grid: 12 nodes, 17 edges, degree 2 to 4, doubly stochastic, symmetric>
    """
    sides = sides_of("grid", n, rows, smallest=2)
    return linked("grid", n, along_axes(sides, wraps=False), positions=on_a_plane(sides))


def torus(n: int, rows: int | None = None, dims: int = 2) -> Topology:
    """Every node talks to its two neighbours along each of `dims` axes of a grid that wraps around.

    In two dimensions node i lies in row `i // columns`, column `i % columns`. W = 1 / (2 dims + 1) on the node and its
    neighbours. The eigenvalues are (1 + sum_a 2 cos(2 pi j_a / m_a)) / (2 dims + 1) for the sides m_a, so with m the
    longest side lambda_2 = 1 - (2 - 2 cos(2 pi / m)) / (2 dims + 1). The gap closes like n^(-2 / dims).

    Sends:
      2 dims messages per node and round.

    Args:
      n: number of nodes, a product of `dims` integers of at least 3.
      rows: number of rows, a divisor of n, only for dims=2; by default the sides are as equal as n permits.
      dims: number of axes, at least 1; 1 makes a ring.

    Raises:
      InputError: if n (or n with these rows) does not make a torus; the message names the nearest n that does.

    >>> torus(12)
    <torus: 12 nodes, 24 edges, degree 4, doubly stochastic, symmetric>
    >>> torus(64, dims=3)
    <torus: 64 nodes, 192 edges, degree 6, doubly stochastic, symmetric>
    """
    sides = sides_of("torus", n, rows, smallest=3, dims=checks.whole("dims", dims, 1))

    def spectrum() -> np.ndarray:
        waves = [2 * np.cos(2 * np.pi * np.arange(side) / side) for side in sides]
        return (1 + functools.reduce(np.add.outer, waves).ravel()) / (2 * dims + 1)

    return linked("torus", n, along_axes(sides, wraps=True), spectrum, on_a_plane(sides))


def hypercube(n: int) -> Topology:
    """Every node talks to the log2(n) nodes whose numbers differ from its own in one bit.

    W = 1 / (d + 1) on the node and its d = log2(n) neighbours. The eigenvalues are 1 - 2 k / (d + 1), each C(d, k)
    times for k = 0 ... d, so lambda_2 = (d - 1) / (d + 1): the gap closes only like 1 / log n.

    Sends:
      log2(n) messages per node and round.

    Args:
      n: number of nodes, a power of two.

    Raises:
      InputError: if n is not a power of two; the message names the nearest one.

    >>> hypercube(8)
    <hypercube: 8 nodes, 12 edges, degree 3, doubly stochastic, symmetric>
    """
    n = checks.whole("n", n, 1)
    d = n.bit_length() - 1
    near = 2 ** (d + (n >= 3 * 2 ** (d - 1)))
    checks.require(n == 2**d, f"got n={n}, a hypercube needs a power of two; try n={near}")
    node = np.arange(n)

    def spectrum() -> np.ndarray:
        return 1 - 2 * np.bitwise_count(node) / (d + 1)

    pairs = [np.stack([node, node ^ 2**bit], axis=1) for bit in range(d)]
    return linked("hypercube", n, np.concatenate([np.empty((0, 2), int), *pairs]), spectrum)
