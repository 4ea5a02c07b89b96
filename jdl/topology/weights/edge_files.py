"""Lists of edges and of neighbours in text files, read line by line so that errors can name the line."""

from __future__ import annotations

import ast
import csv
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from jdl import checks
from jdl.topology.forms import off_diagonal
from jdl.topology.weights.adjacency import Links
from jdl.topology.weights.node_numbers import numbers_of

__all__ = ["Line", "lines_of", "read_edges", "read_named_neighbours", "read_neighbours"]

# Names of the columns of an edge, in upper or lower case.
SOURCES = ("source", "src", "from", "fromnodeid", "u", "node1", "i", "start")
TARGETS = ("target", "dst", "to", "tonodeid", "v", "node2", "j", "end")
WEIGHTS = ("weight", "w", "value")


class Line(NamedTuple):
    """One line of a file.

    Attributes:
      number: line number, counted from 1.
      words: cells separated by a comma, semicolon or tab, otherwise by blanks.
      data: text in braces at the end of the line.
    """

    number: int
    words: list[str]
    data: str = ""


def lines_of(text: str) -> list[Line]:
    """Every non-empty line, without comments (from # or % on)."""
    plain = []
    for number, line in enumerate(text.splitlines(), start=1):
        for mark in "#%":
            line = line.partition(mark)[0]
        line, brace, data = line.partition("{")
        if line.strip():
            plain.append((number, line.strip(), brace + data))
    # The separator that most lines have; a comma wins over blanks, which may follow it or be part of a name.
    apart = next((sign for sign in ",;\t" if 2 * sum(sign in line for _, line, _ in plain) >= max(len(plain), 1)), None)
    split = str.split if apart is None else lambda line: _cells(line, apart)
    return [Line(number, split(line), data) for number, line, data in plain]


def _cells(line: str, apart: str) -> list[str]:
    cells = [cell.strip() for cell in next(csv.reader([line], delimiter=apart, skipinitialspace=True))]
    return cells[:-1] if cells[-1] == "" else cells


def read_edges(n: int, text: str, file: Path) -> Links:
    """The symmetric adjacency `[n, n]` of a list of edges, with two nodes a line and optionally a weight (otherwise 1).

    A first line with a single number is n, as DecentralizePy writes it. A first line of words above lines of numbers
    names the columns. networkx writes weights in braces. An edge may be listed in either direction, or in both.
    """
    lines = lines_of(text)
    if lines and len(lines[0].words) == 1:
        _same_n(n, lines[0].words[0], file, lines[0].number)
        lines = lines[1:]
    columns, lines = _columns(lines, file)
    edges: dict[tuple[str, str], float] = {}
    words = []
    for line in lines:
        ends = [line.words[column] for column in columns[:2]]
        weight = _weight(line, columns[2], file)
        usual = edges.setdefault(tuple(sorted(ends)), weight)
        got = f"got the edge {' '.join(ends)} again in line {line.number} of {file}, with weight {weight:g}"
        checks.require(usual == weight, f"{got} after {usual:g}, need one weight an edge; write the matrix W instead")
        words += [(line.number, word) for word in ends]
    row = numbers_of(n, words, file)
    return _graph(n, [(row[one], row[other]) for one, other in edges], list(edges.values()))


def _columns(lines: list[Line], file: Path) -> tuple[tuple[int, int, int | None], list[Line]]:
    """The columns of source, target and weight (None without weights), and the lines below the header."""
    header = [word.lower().replace("_", "").replace(" ", "") for word in lines[0].words] if lines else []
    places = [next((header.index(name) for name in names if name in header), None) for names in (SOURCES, TARGETS)]
    if None not in places:
        return _named_columns(header, *places, lines, file)
    numbered = [all(word.isdecimal() for word in line.words[:2]) for line in lines]
    if lines and not numbered[0] and not any(word.isdecimal() for word in header) and 2 * sum(numbered) > len(lines):
        lines = lines[1:]  # unknown column names: the first two columns are the edge
    widths = [len(line.words) for line in lines]
    width = 3 if widths.count(3) > widths.count(2) else 2
    for line in lines:
        got = f"got {len(line.words)} words in line {line.number} of {file}"
        need = "need two node numbers, an edge" if width == 2 else "need two node numbers and a weight, as most lines"
        do = "write one edge a line, or name the columns in the first line: source,target,weight"
        checks.require(len(line.words) == width, f"{got}, {need}; {do}")
    return (0, 1, 2 if width == 3 else None), lines


def _named_columns(
    header: list[str], source: int, target: int, lines: list[Line], file: Path
) -> tuple[tuple[int, int, int | None], list[Line]]:
    """The same as `_columns` for a first line that names the columns."""
    weight = next((header.index(name) for name in WEIGHTS if name in header), None)
    least = max(source, target, weight or 0) + 1
    for line in lines[1:]:
        got = f"got {len(line.words)} cells in line {line.number} of {file}"
        checks.require(len(line.words) >= least, f"{got}, need {least} below {', '.join(header)}; fill them in")
        directed = "type" in header and "directed" in map(str.lower, line.words)
        got = f"got a directed edge in line {line.number} of {file}, need undirected ones"
        checks.require(not directed, f"{got}; for a directed graph write .graphml or .mtx")
    rest = [name for place, name in enumerate(header) if place not in (source, target, weight)]
    if unused := [name for name in rest if name not in ("id", "label", "type")]:  # columns that Gephi writes
        checks.note(f"in {file} the columns {', '.join(unused)} are not used; a column of weights must be named weight")
    return (source, target, weight), lines[1:]


def _weight(line: Line, column: int | None, file: Path) -> float:
    try:
        data = ast.literal_eval(line.data) if column is None and line.data.strip("{} ") else {}
        weight = float(data.get("weight", 1.0) if column is None else line.words[column])
        if not math.isfinite(weight):
            raise ValueError(weight)
        return weight
    except (ValueError, SyntaxError, TypeError, AttributeError) as error:
        got = line.data if column is None else repr(line.words[column])
        need = "need a number for the weight of the edge"
        raise checks.InputError(f"got {got} in line {line.number} of {file}, {need}; write one") from error


def read_neighbours(n: int, text: str, file: Path) -> Links:
    """The adjacency of DecentralizePy's lists: n in the first line, then a line for each node with all its neighbours.

    An empty line is a node without neighbours. Every edge must be listed in both lines.
    """
    lines = text.rstrip("\n").split("\n")
    _same_n(n, lines[0].strip(), file, 1)
    listed = lines[1:] + [""] * (len(lines) == n)  # if the last node has no neighbours, its line may be missing
    got = f"got {len(lines) - 1} lines of neighbours in {file}, need one for each of {n} nodes"
    checks.require(len(listed) == n, f"{got}; write an empty line for a node without neighbours")
    pairs = [(i, _row(n, word, file, i + 2)) for i, line in enumerate(listed) for word in line.split()]
    there = set(pairs)
    for i, j in pairs:
        got = f"got node {j} among the neighbours of node {i} in line {i + 2} of {file}, but not the other way round"
        checks.require((j, i) in there, f"{got}, need both; write {i} in line {j + 2} too")
    return _graph(n, pairs)


def read_named_neighbours(n: int, text: str, file: Path) -> Links:
    """The undirected adjacency of networkx's lists: each line is a node and neighbours, every edge at least once."""
    lines = lines_of(text)
    row = numbers_of(n, [(line.number, word) for line in lines for word in line.words], file)
    return _graph(n, [(row[line.words[0]], row[other]) for line in lines for other in line.words[1:]])


def _row(n: int, word: str, file: Path, line: int) -> int:
    inside = word.isdecimal() and int(word) < n
    need = f"need node numbers from 0 to {n - 1} for n={n}"
    checks.require(inside, f"got {word!r} in line {line} of {file}, {need}; count nodes from 0, or try another n")
    return int(word)


def _same_n(n: int, word: str, file: Path, line: int) -> None:
    need = f"need the number of nodes there, n={n}"
    do = f"try n={word}" if word.isdecimal() else "write it first"
    checks.require(word.isdecimal() and int(word) == n, f"got {word!r} in line {line} of {file}, {need}; {do}")


def _graph(n: int, pairs: list[tuple[int, int]], weights: list[float] | None = None) -> Links:
    """The symmetric matrix of edges; an edge listed in both directions counts once."""
    ends = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    ends, first = np.unique(np.sort(ends, axis=1), axis=0, return_index=True)
    values = np.ones(len(ends)) if weights is None else np.array(weights)[first]
    matrix = csr_array((values, (ends[:, 0], ends[:, 1])), shape=(n, n))
    return Links(csr_array(matrix + off_diagonal(matrix).T))
