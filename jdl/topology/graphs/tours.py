"""Short round trips through all nodes."""

from __future__ import annotations

import numpy as np

__all__ = ["round_trip"]


def round_trip(distances: np.ndarray) -> np.ndarray:
    """`int[n]`, the order of a round trip at most 3/2 as long as the shortest one, by Christofides' algorithm.

    Args:
      distances: `[n, n]`, symmetric; the bound holds if they obey the triangle inequality.

    >>> len(round_trip(np.ones((5, 5)) - np.eye(5)))
    5
    """
    import networkx as nx

    n = len(distances)
    if n <= 3:
        return np.arange(n)
    return np.array(nx.approximation.christofides(nx.from_numpy_array(distances))[:-1])
