"""Positions of the nodes in a picture of a graph."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, diags_array

__all__ = ["circle", "springs"]

STIFF, LOOSE = 300, 2000  # numbers of nodes up to which a layout by springs takes one second, and ten seconds


def circle(n: int) -> np.ndarray:
    """Positions on a circle, float[n, 2]: node 0 is on top, the others follow clockwise."""
    angle = np.pi / 2 - 2 * np.pi * np.arange(n) / n
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def springs(links: csr_array) -> np.ndarray:
    """Positions of nodes that are pulled together by their links.

    Up to 300 nodes the layout of Kamada and Kawai is used, up to 2,000 that of Fruchterman and Reingold; larger graphs
    use two vectors that vary slowly along links.

    Args:
      links: a sparse matrix, [n, n], of the links.

    Returns:
      float[n, 2].
    """
    import networkx as nx

    both = csr_array(links + links.T)
    n, graph = both.shape[0], nx.from_scipy_sparse_array(both)
    if 2 < n <= STIFF and nx.is_connected(graph):
        placed = nx.kamada_kawai_layout(graph)
    elif n <= LOOSE:
        placed = nx.spring_layout(graph, pos=dict(enumerate(_smooth(both))), iterations=50, seed=0)
    else:
        return _smooth(both)
    return np.stack([placed[node] for node in range(n)])


def _smooth(links: csr_array) -> np.ndarray:
    """Positions by two vectors that vary slowly along links, as ranks, so that the nodes fill a square.

    Steps of a lazy random walk, orthogonalised, approximate the eigenvectors of the largest eigenvalues.
    """
    n = links.shape[0]
    walk = diags_array(1 / np.maximum(1, links.sum(axis=1))) @ links
    x = np.random.default_rng(0).standard_normal((n, 2))
    for _ in range(20):
        for _ in range(10):
            x = (x + walk @ x) / 2
        x = np.linalg.qr(x - x.mean(axis=0, keepdims=True))[0]
    return 2 * np.argsort(np.argsort(x, axis=0), axis=0) / max(1, n - 1) - 1
