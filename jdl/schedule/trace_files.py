"""Files that say when nodes are there: FedScale's traces of clients, and tables of intervals."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jdl import checks

__all__ = ["read_trace"]

Place = str
FEW = 5  # so many of those that are missing are named


class Days(NamedTuple):
    """When one node is there, in seconds from the start: sorted intervals, which repeat after `period`."""

    starts: np.ndarray
    ends: np.ndarray
    period: float
    closed: bool  # whether an interval holds its end, as those of FedScale do


def read_trace(path: str | os.PathLike[str], n: int, seconds_per_round: float, rounds: int | None = None) -> np.ndarray:
    """Who is there at the beginning of each round: bool[T, n].

    A file is one of two kinds; its content decides which.

    - CSV: a line `node,start,end` for each interval, in seconds; the node is there from `start` to before `end`. The
      lines of one node follow each other in time. A first line with the names of the columns, empty lines and lines
      that begin with # are skipped. All nodes from 0 to n - 1 occur.
    - FedScale's traces of clients, as JSON or as a pickle: `{client: {"active": [...], "inactive": [...],
      "finish_time": ...}}`. A client is there from active[k] to inactive[k], in seconds, and begins again after
      `finish_time`. The first n clients are taken, in the order of their numbers or names. Of a pickle only plain
      values are read: one that holds anything else is refused, for it could run code.

    Args:
      path: the file.
      n: number of nodes, at least 1.
      seconds_per_round: the length of a round, more than 0.
      rounds: the number T of rounds; None for as many as cover the file.

    Raises:
      InputError: if the file does not exist or cannot be read, if intervals overlap, are empty or out of order, or if a
        node is missing; the sentence names the line, or the client and the number of its interval.

    References:
      The code of FedScale's clients and its page of trace formats (read): a client is active at time t if
      active[k] <= t mod finish_time <= inactive[k].
    """
    file, n = checks.path(path), checks.whole("n", n, 1)
    checks.require(
        file.is_file(), f"got path={str(path)!r}, need a file of times at which nodes are there; give its path"
    )
    good = isinstance(seconds_per_round, int | float) and math.isfinite(seconds_per_round) and seconds_per_round > 0
    need = "need the length of a round in seconds, more than 0"
    checks.require(good, f"got seconds_per_round={seconds_per_round!r}, {need}; try seconds_per_round=600")
    nodes = _nodes(file, n)
    last = max(node.period for node in nodes)
    rounds = max(1, math.ceil(last / seconds_per_round)) if rounds is None else checks.whole("rounds", rounds, 1)
    checks.fits(rounds * n, f"a table of {rounds} rounds for n={n}")
    times = np.arange(rounds) * seconds_per_round
    return np.stack([_there(node, times) for node in nodes], axis=1)


def _there(node: Days, times: np.ndarray) -> np.ndarray:
    """Whether the node is there at each of these times."""
    times = times % node.period if node.closed else times
    k = np.searchsorted(node.starts, times, side="right") - 1
    ends = node.ends[np.maximum(k, 0)] if node.ends.size else np.zeros_like(times)
    return (k >= 0) & ((times <= ends) if node.closed else (times < ends))


def _nodes(file: Path, n: int) -> list[Days]:
    content = file.read_bytes()
    if content[:1] == b"\x80":
        return _fedscale(file, checks.plain_pickle(content, file), n)
    try:
        text = content.decode("utf-8-sig")
        if text.lstrip().startswith("{"):
            return _fedscale(file, json.loads(text), n)
    except ValueError as error:
        need = "need lines node,start,end, or a trace of FedScale"
        raise checks.InputError(f"got {file}, {need}: {error}; correct the file") from error
    return _table(file, text, n)


def _fedscale(file: Path, trace: Any, n: int) -> list[Days]:
    need = 'need {client: {"active": [...], "inactive": [...], "finish_time": ...}}'
    good = isinstance(trace, dict) and all(isinstance(value, dict) for value in trace.values())
    checks.require(good, f"got {file} of another form, {need}; correct the file")
    checks.require(len(trace) >= n, f"got {len(trace)} clients in {file}, need {n}; try n={len(trace)}")
    by_number = lambda name: (0, int(name), "") if str(name).isdecimal() else (1, 0, str(name))
    nodes = []
    for name in sorted(trace, key=by_number)[:n]:
        where, client = f"client {name!r} of {file}", trace[name]
        try:
            starts, ends = (np.asarray(client[key], float).reshape(-1) for key in ("active", "inactive"))
            period = float(client["finish_time"])
        except (KeyError, TypeError, ValueError) as error:
            raise checks.InputError(f"got {where} without {error}, {need}; correct the file") from error
        same = (
            f"got {len(starts)} times in active and {len(ends)} in inactive of {where}, need as many; correct the file"
        )
        checks.require(len(starts) == len(ends), same)
        _in_order(starts, ends, [f"interval {k} of {where}" for k in range(len(starts))])
        after = f"got finish_time={period:g} of {where}, need one after its last interval; correct the file"
        checks.require(period > 0 and (not len(ends) or period >= ends[-1]), after)
        nodes.append(Days(starts, ends, period, closed=True))
    return nodes


def _table(file: Path, text: str, n: int) -> list[Days]:
    rows: list[list[tuple[float, float, Place]]] = [[] for _ in range(n)]
    first = True
    for number, line in enumerate(text.splitlines(), start=1):
        words = [word.strip() for word in line.split(",")]
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        names = first and not any(character.isdigit() for character in line)
        first = False
        if names:
            continue
        where = f"line {number} of {file}"
        try:
            node, (start, end) = int(words[0]), map(float, words[1:])
        except ValueError:
            raise checks.InputError(f"got {line.strip()!r} in {where}, need node,start,end; correct it") from None
        need = f"need one of n={n} nodes, counted from 0; try n={node + 1}"
        checks.require(0 <= node < n, f"got node {node} in {where}, {need}")
        rows[node].append((start, end, where))
    missing = [node for node in range(n) if not rows[node]]
    need = f"need an interval of each of {n} nodes; add them, or give a smaller n"
    which = ", ".join(map(str, missing[:FEW])) + (", ..." if len(missing) > FEW else "")
    checks.require(not missing, f"got no line of {len(missing)} of {n} nodes ({which}) in {file}, {need}")
    for intervals in rows:
        _in_order(*(np.array([row[k] for row in intervals]) for k in (0, 1)), [row[2] for row in intervals])
    last = max(row[1] for intervals in rows for row in intervals)
    columns = [[np.array([row[k] for row in intervals]) for k in (0, 1)] for intervals in rows]
    return [Days(starts, ends, last, closed=False) for starts, ends in columns]


def _in_order(starts: np.ndarray, ends: np.ndarray, places: list[Place]) -> None:
    """Check that intervals are not empty, follow each other in time, and do not overlap."""
    before = -math.inf
    for start, end, where in zip(starts, ends, places, strict=True):
        numbers = math.isfinite(start) and math.isfinite(end) and start >= 0
        checks.require(numbers, f"got {start:g} to {end:g} in {where}, need times of at least 0; correct it")
        checks.require(start < end, f"got {start:g} to {end:g} in {where}, need a later end; correct it")
        need = f"before the end {before:g} of the interval before it"
        checks.require(
            start >= before, f"got start {start:g} in {where}, {need}, need them in order; sort or merge them"
        )
        before = end
