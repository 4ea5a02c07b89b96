"""Topologies from a graph, a matrix of weights, or a sequence of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse

from jdl import checks
from jdl.topology import forms
from jdl.topology.spectrum.periods import cycle_of
from jdl.topology.topology import Topology
from jdl.topology.weights.adjacency import require_connected
from jdl.topology.weights.weighted import from_graph, from_weights

__all__ = ["as_topologies", "one_graph"]


def as_topologies(given: Any) -> Topology | list[Topology] | None:
    """Convert a user's graph to a topology, and a sequence of graphs to a list of topologies that repeats, one a round.

    Args:
      given: a `Topology`, a networkx graph, a matrix of weights `[n, n]` (an array, a sparse matrix, nested lists), a
        list of these, or an array `[T, n, n]`.

    Returns:
      The topology, a list of them, or None where `given` is none of these.

    Raises:
      InputError: if a matrix is not stochastic, sizes differ, or the union of a list is not connected.

    >>> as_topologies(np.stack([np.eye(2), np.ones((2, 2)) / 2]))[1]
    <weights 1: 2 nodes, 1 edge, degree 1, doubly stochastic, symmetric>
    """
    single = _one(given, "weights")
    if single is not None:
        return single
    listed = list(given) if isinstance(given, list | tuple) or np.ndim(_array(given)) == 3 else []
    several = [_one(each, f"weights {place}", allow_disconnected=True) for place, each in enumerate(listed)]
    if not several or None in several:
        return None
    cycle_of(several)  # checks that all have the same n
    if not all(isinstance(each, Topology) for each in listed):
        require_connected(csr_array(sum(abs(forms.off_diagonal(each.weights)) for each in several)), False)
    return several


def one_graph(given: Any) -> Topology:
    """The topology of a `Topology`, a networkx graph or a matrix of weights.

    Raises:
      InputError: if it is none of these.

    >>> one_graph(np.ones((2, 2)) / 2).n
    2
    """
    found = _one(given, "weights")
    if found is None:
        what = f"{given!r}" if isinstance(given, str | int | float | None) else f"a {type(given).__name__}"
        need = "need one graph: a Topology, a networkx graph or a matrix of weights"
        raise checks.InputError(f"got topology={what}, {need}; try jdl.topology.ring(16)")
    return found


def _one(given: Any, name: str, allow_disconnected: bool = False) -> Topology | None:
    if isinstance(given, Topology):
        return given
    if issparse(given):
        return from_weights(given, name=name, allow_disconnected=allow_disconnected)
    if "networkx" in {base.__module__.partition(".")[0] for base in type(given).__mro__}:
        return from_graph(given, name="graph", allow_disconnected=allow_disconnected)
    array = _array(given)
    if np.ndim(array) == 2:
        return from_weights(array, name=name, allow_disconnected=allow_disconnected)
    return None


def _array(given: Any) -> np.ndarray | None:
    """An array of numbers from any array or nested lists, or None."""
    nested = isinstance(given, list | tuple) and all(isinstance(row, list | tuple) for row in given)
    if not (nested or hasattr(given, "__array__")):
        return None
    try:
        array = np.asarray(given)
    except ValueError:  # rows of different lengths
        return None
    return array if array.dtype.kind in "biuf" or array.dtype.name == "bfloat16" else None
