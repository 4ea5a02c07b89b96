"""Whom nodes hear, and who hears them."""

from __future__ import annotations

import numpy as np

from jdl.topology import Topology, forms

__all__ = ["into", "out"]


def into(topology: Topology) -> tuple[np.ndarray, np.ndarray]:
    """The in-neighbours of each node: where those of each begin, and who they are."""
    links = forms.off_diagonal(topology.weights)
    return links.indptr, links.indices


def out(topology: Topology) -> tuple[np.ndarray, np.ndarray]:
    """The out-neighbours of each node."""
    links = forms.off_diagonal(topology.weights).T.tocsr()
    return links.indptr, links.indices
