"""Graphs from files: a weight matrix, or who is whose neighbour."""

from __future__ import annotations

import contextlib
import gzip
import io
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import io as scipy_io
from scipy import sparse

from jdl import checks
from jdl.topology.topology import Topology
from jdl.topology.weights.adjacency import Graph, Links, links_of
from jdl.topology.weights.edge_files import lines_of, read_edges, read_named_neighbours, read_neighbours
from jdl.topology.weights.graph_files import read_graph
from jdl.topology.weights.weighted import from_graph, from_weights

__all__ = ["from_file"]

# Where the content alone leaves open which of them it is.
LISTS = {
    ".adj": read_neighbours,
    ".adjlist": read_named_neighbours,
    ".edgelist": read_edges,
    ".edges": read_edges,
}


def from_file(n: int, path: str, stochastic: str = "doubly") -> Topology:
    """A graph of your own, from a file: a weight matrix, or a list of edges or neighbours.

    What a file holds is told by its content, packed by gzip or not. Its ending is asked only of lists: .adj and
    .adjlist are neighbours, .edges and .edgelist are edges whatever their size.

    - A matrix of W[i, j], the weight that receiver i gives to sender j: n lines of n numbers, with blanks or commas
      between (.txt, .csv), NumPy's .npy, a sparse matrix in SciPy's .npz, Matrix Market (.mtx). An .mtx whose field is
      "pattern" is an adjacency, where an entry in row i, column j lets i send to j; so is any matrix of zeros and ones
      alone that is symmetric.
    - Edges, one a line: two nodes, and perhaps a weight, with blanks, tabs, a comma or a semicolon between; # and %
      start comments. The first line may be n, as DecentralizePy writes it, or names of the columns.
    - Neighbours: n in the first line, then for each node a line of its neighbours, as DecentralizePy writes them; or
      (.adjlist) in each line a node, then neighbours, as networkx does.
    - GraphML, GML, GEXF, Pajek, and the JSON of networkx.

    Nodes that are not numbered from 0 to n - 1 are so numbered, in the order of their numbers or names; a note says it.

    A graph gets Metropolis weights; a directed one (.mtx, .graphml, ...) splits each node's mass evenly, column
    stochastic. Weights of edges are W_ij and the rest of W_ii, where no node's sum to more than 1; else a note says
    that they are not used. `weighted` gives it others.

    Sends:
      a message a node and round for each of its neighbours.

    Args:
      n: number of nodes, that of the file.
      path: the file.
      stochastic: what a matrix is: "doubly", "row" or "column" stochastic.

    Raises:
      InputError: no such file, a line that cannot be read (by its number), not n nodes, a matrix that is not stochastic
        as claimed, a disconnected graph.
    """
    n, file = checks.whole("n", n, 1), checks.path(path or "")
    sentence = f"got path={path!r}, need a file with a weight matrix or a list of edges; give its path"
    checks.require(file.is_file(), sentence)
    name = file.name.split(".")[0] if file.suffix == ".gz" else file.stem
    try:
        found = _content(n, file)
    except checks.InputError:
        raise
    except (ValueError, OSError, EOFError, SyntaxError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        need = "a matrix of numbers, a list of edges or neighbours, or a graph of networkx"
        raise checks.InputError(f"got path={path!r}, need {need}: {error}; write it anew") from error
    if isinstance(found, Weights):
        _same_shape(n, path, found.W.shape)
        if not _is_adjacency(found.W):
            return from_weights(found.W, stochastic=stochastic, name=name)
        found = sparse.csr_array(found.W)
    _same_shape(n, path, links_of(found).shape)
    return from_graph(found, name=name)


class Weights(NamedTuple):
    """A matrix of weights, where a bare one is an adjacency."""

    W: np.ndarray | sparse.sparray


def _content(n: int, file: Path) -> Weights | Graph | Links:
    """What the file holds, told by how it begins."""
    content = file.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    if content.startswith(b"\x93NUMPY"):
        return Weights(np.load(io.BytesIO(content)))
    if content.startswith(b"PK"):
        return Weights(sparse.csr_array(sparse.load_npz(io.BytesIO(content))))
    if content.startswith(b"%%MatrixMarket"):
        matrix = scipy_io.mmread(io.BytesIO(content))
        return matrix if scipy_io.mminfo(io.BytesIO(content))[4] == "pattern" else Weights(matrix)
    text = content.decode("utf-8-sig")
    graph = read_graph(text)
    if graph is not None:
        return graph
    if not text.strip() and file.suffix.lower() not in LISTS:
        raise ValueError("it is empty")
    return _text(n, text, file)


def _text(n: int, text: str, file: Path) -> Weights | Links:
    """A matrix, edges or neighbours, told by the ending where that names a list, else by the shape of the text."""
    ending = file.suffixes[-2].lower() if file.suffix == ".gz" and len(file.suffixes) > 1 else file.suffix.lower()
    if ending in LISTS:
        return LISTS[ending](n, text, file)
    lines = lines_of(text)
    widths = {len(line.words) for line in lines}
    width = max(widths)
    try:
        matrix = np.array([[float(word) for word in line.words] for line in lines]) if len(widths) == 1 else None
    except ValueError:
        matrix = None
    if matrix is not None and (width == len(lines) or width > 3):
        ends = matrix[:, :2]
        numbers = width in (2, 3) and bool(np.all(ends % 1 == 0) and np.all(ends[:, 0] != ends[:, 1]))
        sums = np.abs(np.stack([matrix.sum(axis=axis) for axis in (0, 1)]) - 1) if width == len(lines) else np.ones(1)
        as_weights = width == n and sums.max(axis=-1).min() < 1e-3
        if as_weights or not (numbers and len(np.unique(ends)) == n):
            return Weights(matrix)
    if lines[0].words == [str(n)] and len(text.rstrip("\n").split("\n")) in (n, n + 1):
        with contextlib.suppress(checks.InputError):  # not so, unless every edge is in both lists
            return read_neighbours(n, text, file)
    if width > 3 and len(widths) > 1 and lines[0].words[0].isdecimal():
        number = next(line.number for line in lines if len(line.words) != len(lines[0].words))
        raise ValueError(
            f"line {number} has not as many words as the first; for lists of neighbours let the name end in .adjlist"
        )
    return read_edges(n, text, file)


def _is_adjacency(W: np.ndarray | sparse.sparray) -> bool:
    """Whether a square matrix is symmetric, of zeros and ones alone, and no W: some row does not sum to one."""
    if W.ndim != 2 or W.dtype.kind not in "biuf":
        return False
    matrix = sparse.csr_array(W)
    whole = bool(np.all((matrix.data == 1) | (matrix.data == 0))) and (matrix != matrix.T).nnz == 0
    return whole and bool(np.any(matrix.astype(float).sum(axis=1) != 1))


def _same_shape(n: int, path: str, shape: tuple[int, ...]) -> None:
    do = f"try n={shape[0]}" if len(shape) == 2 and shape[0] == shape[1] else "write a square one"
    checks.require(shape == (n, n), f"got a matrix of shape {shape} in {path}, need {(n, n)} for n={n}; {do}")
