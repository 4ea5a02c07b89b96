"""Graphs that n alone determines: ring, torus, complete, exponential."""

from __future__ import annotations

import math

from jdl import checks
from jdl.topology.topology import Topology, circulant
from jdl.topology.weights import metropolis

__all__ = ["complete", "exponential", "ring", "torus"]


def ring(n: int) -> Topology:
    """Every node talks to its two neighbours on a circle.

    W = (I + P + P^-1) / 3 with the cyclic shift P: eigenvalues (1 + 2 cos(2 pi j / n)) / 3, so
    lambda_2 = (1 + 2 cos(2 pi / n)) / 3 for n >= 4 and the spectral gap closes like 1 / n^2. It is 0 for n <= 3,
    where the ring is complete; n = 2 is one edge with W = 1/2 everywhere, n = 1 an isolated node.

    Sends: 2 messages a node and round.

    Args:
      n: number of nodes, at least 1.

    >>> ring(8)
    <ring: 8 nodes, 8 edges, degree 2, doubly stochastic, symmetric>
    """
    n = checks.whole("n", n, 1)
    return circulant("ring", n, {1: (), 2: (1,)}.get(n, (1, -1)))


def torus(n: int, rows: int | None = None) -> Topology:
    """Every node talks to its four neighbours on a two-dimensional grid that wraps around.

    Node `i` sits at row `i // columns`, column `i % columns`; n = rows x columns, by default as near to a square as
    n allows. W = 1/5 on the node and its neighbours: eigenvalues (1 + 2 cos(2 pi a / rows) + 2 cos(2 pi b / columns))
    / 5, so lambda_2 = (3 + 2 cos(2 pi / m)) / 5 on an m x m torus with m >= 4.

    Sends: 4 messages a node and round.

    Args:
      n: number of nodes, a product of two whole numbers of at least 3.
      rows: number of rows, a divisor of n; by default the largest one that is at most sqrt(n).

    Raises:
      InputError: if n (or n with these rows) makes no torus; the sentence names the nearest n that does.

    >>> torus(12)
    <torus: 12 nodes, 24 edges, degree 4, doubly stochastic, symmetric>
    """
    import networkx as nx

    n = checks.whole("n", n, 1)
    if rows is None:
        rows = rows_of(n)
        need = f"got n={n}, a torus needs rows x columns of at least 3 x 3; try n={nearest_torus(n)}"
        checks.require(rows is not None, need)
    else:
        rows = checks.whole("rows", rows, 3, "a torus needs")
        nearby = rows * max(3, round(n / rows))
        need = f"got n={n} with rows={rows}, a torus needs at least 3 full columns; try n={nearby}"
        checks.require(n % rows == 0 and n // rows >= 3, need)
    graph = nx.convert_node_labels_to_integers(nx.grid_2d_graph(rows, n // rows, periodic=True))
    return Topology("torus", metropolis(graph), "doubly", symmetric=True)


def rows_of(n: int) -> int | None:
    """The rows of the torus of n nodes that is nearest to a square, or None if there is none."""
    return next((rows for rows in range(math.isqrt(n), 2, -1) if n % rows == 0), None)


def nearest_torus(n: int) -> int:
    """The n nearest to this one that makes a torus; the larger one where two are equally near."""
    nearby = (candidate for distance in range(n + 10) for candidate in (n + distance, n - distance))
    return next(candidate for candidate in nearby if candidate >= 9 and rows_of(candidate))


def complete(n: int) -> Topology:
    """Every node talks to every other one: exact averaging in one round.

    W = J, the matrix of 1/n: lambda_2 = 0. Needs memory for n^2 weights.

    Sends: n - 1 messages a node and round.

    Args:
      n: number of nodes, at least 1.

    >>> complete(4)
    <complete: 4 nodes, 6 edges, degree 3, doubly stochastic, symmetric>
    """
    n = checks.whole("n", n, 1)
    checks.fits(n * n * 64, f"a complete graph with n={n}")  # three integers and a weight of 8 bytes, twice while built
    return circulant("complete", n, tuple(range(1, n)))


def exponential(n: int) -> Topology:
    """Every node listens to the nodes 1, 2, 4, 8, ... places further on; directed.

    W = (I + sum_{j < tau} P^(2^j)) / (tau + 1) with the cyclic shift P and tau = ceil(log2 n). For n = 2^tau,
    lambda_2 = (tau - 1) / (tau + 1): the gap closes only like 1 / log n, at log n messages.

    Sends: ceil(log2 n) messages a node and round.

    Args:
      n: number of nodes, at least 1.

    >>> exponential(8)
    <exponential: 8 nodes, 24 directed links, degree 3, doubly stochastic>

    References:
      Ying, Yuan, Chen, Hu, Pan, Yin, "Exponential Graph is Provably Efficient for Decentralized Deep Training",
      NeurIPS 2021 (the spectral gap of the static graph).
      Assran, Loizou, Ballas, Rabbat, "Stochastic Gradient Push for Distributed Deep Learning", ICML 2019.
    """
    n = checks.whole("n", n, 1)
    return circulant("exponential", n, tuple(2**j for j in range((n - 1).bit_length())))
