"""Graphs from files: a weight matrix, or a list of edges."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from jdl import checks
from jdl.topology.topology import Topology
from jdl.topology.weights import from_graph, from_weights

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["from_file"]


def from_file(n: int, path: str, kind: str = "doubly") -> Topology:
    """A graph of your own, from a file: a weight matrix (.npy, .npz, .csv, .txt) or a list of edges (.edges).

    A matrix holds W[i, j], the weight that receiver i gives to sender j; `.npy` and `.npz` as NumPy or SciPy write
    them, others as numbers between commas or blanks. A list of edges holds a pair of node numbers a line, from 0, and
    gets Metropolis weights.

    Sends: a message a node and round for each of its neighbours.

    Args:
      n: number of nodes, that of the file.
      path: the file.
      kind: what the matrix is: "doubly", "row" or "column" stochastic.

    Raises:
      InputError: no such file, not n nodes, a matrix that is not stochastic as claimed, a disconnected graph.
    """
    n, file = checks.whole("n", n, 1), Path(path or "")
    sentence = f"got path={path!r}, need a file with a weight matrix or a list of edges; give its path"
    checks.require(file.is_file(), sentence)
    try:
        if file.suffix == ".edges":
            return from_graph(_graph(n, file), name=file.stem)
        weights = _matrix(file)
    except checks.InputError:
        raise
    except (ValueError, OSError) as error:
        need = "numbers in the form that its ending says (.npy, .npz, .csv, .txt, .edges)"
        raise checks.InputError(f"got path={path!r}, need {need}: {error}; write it anew") from error
    square = weights.ndim == 2 and weights.shape == (n, n)
    checks.require(square, f"got a matrix of shape {weights.shape} in {path}, need {(n, n)} for n={n}; try another n")
    return from_weights(weights, kind=kind, name=file.stem)


def _matrix(file: Path) -> np.ndarray | sparse.sparray:
    if file.suffix == ".npz":
        return sparse.csr_array(sparse.load_npz(file))
    if file.suffix == ".npy":
        return np.load(file)
    return np.loadtxt(file, delimiter="," if file.suffix == ".csv" else None, ndmin=2)


def _graph(n: int, file: Path) -> nx.Graph:
    import networkx as nx

    pairs = np.loadtxt(file, dtype=np.int64, ndmin=2)
    inside = pairs.shape[1] == 2 and pairs.min() >= 0 and pairs.max() < n
    need = f"need pairs of node numbers from 0 to {n - 1} for n={n}; try a larger n"
    checks.require(inside, f"got other numbers in {file}, {need}")
    graph = nx.empty_graph(n)
    graph.add_edges_from(pairs.tolist())
    return graph
