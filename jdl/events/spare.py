"""Nodes for the places of a wave in which nobody acts."""

from __future__ import annotations

import numpy as np

__all__ = ["with_spare_nodes"]


def with_spare_nodes(nodes: np.ndarray, there: np.ndarray) -> np.ndarray:
    """The nodes of all waves, i32[T, m], where places without an event hold nodes that the wave does not have.

    So all nodes of a wave are different. Of the first m nodes, a wave with a of them leaves at least m - a.

    Args:
      nodes: i[T, m], all different where `there`, and anything elsewhere; there are at least m nodes.
      there: bool[T, m].

    >>> with_spare_nodes(np.array([[2, 0, 7]]), np.array([[True, True, False]]))
    array([[2, 0, 1]], dtype=int32)
    """
    total, m = nodes.shape
    taken = np.zeros((total, m + 1), bool)
    wave, place = np.nonzero(there)
    taken[wave, np.minimum(nodes[wave, place], m)] = True
    free = ~taken[:, :m]
    missing = (~there).sum(axis=1)
    found = nodes.astype(np.int32)
    found[~there] = np.nonzero(free & (np.cumsum(free, axis=1) <= missing[:, None]))[1]
    return found
