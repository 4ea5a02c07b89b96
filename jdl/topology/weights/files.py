"""Graphs from files: a weight matrix, or a list of edges or neighbours."""

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

# The file extensions that decide where the content alone is ambiguous.
LISTS = {
    ".adj": read_neighbours,
    ".adjlist": read_named_neighbours,
    ".edgelist": read_edges,
    ".edges": read_edges,
}


@checks.renamed_arguments(kind="stochastic")
def from_file(n: int, path: str, stochastic: str = "doubly") -> Topology:
    """A graph of your own, from a file: a weight matrix, or a list of edges or neighbours.

    The content decides what a file holds; files may be compressed by gzip. The extension matters only for lists: .adj
    and .adjlist are neighbours, .edges and .edgelist are edges of any size.

    - A matrix of W[i, j], the weight that receiver i gives to sender j: n lines of n numbers, separated by blanks or
      commas (.txt, .csv), NumPy's .npy, a sparse matrix in SciPy's .npz, or Matrix Market (.mtx). An .mtx whose field
      is "pattern" is an adjacency matrix, where an entry in row i, column j lets i send to j; so is any symmetric
      matrix of only zeros and ones.
    - Edges, one a line: two nodes and optionally a weight, separated by blanks, tabs, a comma or a semicolon; # and %
      start comments. The first line may be n, as DecentralizePy writes it, or the names of the columns.
    - Neighbours: n in the first line, then for each node a line of its neighbours, as DecentralizePy writes them; or
      (.adjlist) in each line a node followed by neighbours, as networkx does.
    - GraphML, GML, GEXF, Pajek, and the JSON of networkx.

    Nodes that are not numbered from 0 to n - 1 are renumbered, in the order of their numbers or names, and a note says
    so.

    An undirected graph gets Metropolis weights. A directed one (.mtx, .graphml, ...) splits the mass of each node
    evenly, which is column stochastic. Weights of edges are used as W_ij, with W_ii as the rest, if those of no node
    sum to more than 1; otherwise a note says that they are not used. `weighted` changes the weights of a graph.

    Sends:
      one message per node and round to each of its neighbours.

    Args:
      n: number of nodes, equal to that of the file.
      path: path of the file.
      stochastic: property of a weight matrix: "doubly", "row" or "column" stochastic.

    Raises:
      InputError: if the file does not exist, a line cannot be read (the message names it), the number of nodes is not
        n, a matrix is not stochastic as stated, or the graph is disconnected.
    """
    n, file = checks.whole("n", n, 1), checks.path(path or "")
    sentence = f"got path={path!r}, need a file with a weight matrix or a list of edges; give its path"
    checks.require(file.is_file(), sentence)
    name = file.name.split(".")[0] if file.suffix == ".gz" else file.stem
    try:
        content = _content(n, file)
    except checks.InputError:
        raise
    except (ValueError, OSError, EOFError, SyntaxError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        need = "a matrix of numbers, a list of edges or neighbours, or a graph of networkx"
        raise checks.InputError(f"got path={path!r}, need {need}: {error}; correct the file") from error
    if isinstance(content, Weights):
        _same_shape(n, path, content.W.shape)
        if not _is_adjacency(content.W):
            return from_weights(content.W, stochastic=stochastic, name=name)
        content = sparse.csr_array(content.W)
    _same_shape(n, path, links_of(content).shape)
    return from_graph(content, name=name)


class Weights(NamedTuple):
    """A matrix of weights, as opposed to an adjacency matrix."""

    W: np.ndarray | sparse.sparray


def _content(n: int, file: Path) -> Weights | Graph | Links:
    """The content of the file; its first bytes decide the format."""
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
    """A matrix, edges or neighbours: the file extension decides if it names a list, otherwise the text's shape."""
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
        with contextlib.suppress(checks.InputError):  # neighbours only if every edge is in both lines
            return read_neighbours(n, text, file)
    if width > 3 and len(widths) > 1 and lines[0].words[0].isdecimal():
        number = next(line.number for line in lines if len(line.words) != len(lines[0].words))
        raise ValueError(
            f"line {number} has another number of words than the first; lists of neighbours need the extension .adjlist"
        )
    return read_edges(n, text, file)


def _is_adjacency(W: np.ndarray | sparse.sparray) -> bool:
    """Whether a square matrix is symmetric, holds only zeros and ones, and is not a W: some row does not sum to one."""
    if W.ndim != 2 or W.dtype.kind not in "biuf":
        return False
    matrix = sparse.csr_array(W)
    whole = bool(np.all((matrix.data == 1) | (matrix.data == 0))) and (matrix != matrix.T).nnz == 0
    return whole and bool(np.any(matrix.astype(float).sum(axis=1) != 1))


def _same_shape(n: int, path: str, shape: tuple[int, ...]) -> None:
    do = f"try n={shape[0]}" if len(shape) == 2 and shape[0] == shape[1] else "write a square one"
    checks.require(shape == (n, n), f"got a matrix of shape {shape} in {path}, need {(n, n)} for n={n}; {do}")
