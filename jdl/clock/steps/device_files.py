"""Tables of how long the steps of devices take."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from jdl import checks

__all__ = ["device_file", "read_seconds"]

FEW = 5  # so many of those that are missing are named


def read_seconds(path: str | os.PathLike[str], n: int) -> np.ndarray:
    """The seconds of a step of each node in each round: f[T, n], with one row if they are the same in all rounds.

    A file is a CSV with lines `node,seconds`, one for each node, or `round,node,seconds`, one for each node and round,
    ordered by round. A first line with the names of the columns, empty lines and lines that begin with # are skipped.

    Args:
      path: the file.
      n: number of nodes, at least 1; all from 0 to n - 1 occur in every round.

    Raises:
      InputError: if the file cannot be read, a time is negative or not finite, rounds are out of order, or a node is
        missing or occurs twice; the sentence names the line.
    """
    file, n = device_file(path), checks.whole("n", n, 1)
    try:
        text = file.read_text("utf-8-sig")
    except ValueError as error:
        raise checks.InputError(f"got {file}, need lines node,seconds: {error}; correct the file") from error
    rows, first, width = [], True, 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        names, first = first and not any(character.isdigit() for character in line), False
        if names:
            continue
        where, words = f"line {number} of {file}", [word.strip() for word in line.split(",")]
        width = width or len(words)
        try:
            *places, seconds = (*map(int, words[:-1]), float(words[-1]))
            good = len(words) == width and width in (2, 3)
        except ValueError:
            good = False
        need = "need node,seconds or round,node,seconds in all lines; correct it"
        checks.require(good, f"got {line.strip()!r} in {where}, {need}")
        _row(rows, (0, *places)[-2:], seconds, where, n)
    checks.require(bool(rows), f"got {file} without a line of numbers, need lines node,seconds; correct the file")
    _whole(rows[-1], len(rows) - 1, str(file))
    return np.array(rows)


def _row(rows: list[list[float]], place: tuple[int, int], seconds: float, where: str, n: int) -> None:
    """Put a time into the table, whose rounds begin one after the other."""
    t, node = place
    good = math.isfinite(seconds) and seconds >= 0
    checks.require(good, f"got {seconds:g} seconds in {where}, need times of at least 0; correct it")
    checks.require(0 <= node < n, f"got node {node} in {where}, need one of n={n} nodes, from 0; try n={node + 1}")
    last = len(rows) - 1
    order = "need rounds 0, 1, 2, ... in order"
    checks.require(t in (last, last + 1) and t >= 0, f"got round {t} in {where}, {order}; sort the lines, or add some")
    if t == last + 1:
        if rows:
            _whole(rows[-1], last, where)
        rows.append([math.nan] * n)
    twice = f"got node {node} in {where}, which round {t} has already, need one line; leave one out"
    checks.require(math.isnan(rows[t][node]), twice)
    rows[t][node] = seconds


def _whole(row: list[float], t: int, where: str) -> None:
    missing = [node for node, seconds in enumerate(row) if math.isnan(seconds)]
    which = ", ".join(map(str, missing[:FEW])) + (", ..." if len(missing) > FEW else "")
    got = f"got no time of {len(missing)} of {len(row)} nodes ({which}) in round {t}, before the end of {where}"
    checks.require(not missing, f"{got}, need all; add them, or give a smaller n")


def device_file(path: str | os.PathLike[str]) -> Path:
    """The path of a file that exists."""
    file = checks.path(path)
    checks.require(file.is_file(), f"got path={str(path)!r}, need a file of how fast devices are; give its path")
    return file
