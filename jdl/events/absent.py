"""When nodes are away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from jdl import checks

__all__ = ["Absences", "absences"]


class Absences:
    """When nodes are away: for each node intervals of seconds, from `start` to before `end`.

    A node that is away neither computes nor answers. Its computation stops, and goes on when it is back.

    Args:
      intervals: rows (node, start, end), in any order; those of one node do not overlap.
      n: the number of nodes.

    Raises:
      InputError: if a row names no node, if its times are negative or not in order, or if intervals overlap.

    >>> away = Absences([(0, 2.0, 5.0)], n=3)
    >>> print(away.there(np.array([0, 0, 1]), np.array([1.0, 3.0, 3.0])))
    [ True False  True]
    """

    def __init__(self, intervals: Iterable[Sequence[float]], n: int) -> None:
        rows = _rows(intervals)
        for number, (node, start, end) in enumerate(rows):
            where = f"interval {number} of those in which nodes are away"
            known = np.isfinite(node) and node == int(node) and 0 <= node < n
            checks.require(known, f"got node {node:g} in {where}, need one of n={n}, counted from 0; correct it")
            good = 0 <= start < end < np.inf
            need = "need a start of at least 0 and a later end"
            checks.require(good, f"got {start:g} to {end:g} in {where}, {need}; correct it")
        rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
        same = (rows[1:, 0] == rows[:-1, 0]) & (rows[1:, 1] < rows[:-1, 2])
        if same.any():
            node, start, end = rows[1:][same][0]
            need = "need intervals of one node that do not overlap; merge them"
            raise checks.InputError(f"got node {node:g} away from {start:g} to {end:g} and before that end, {need}")
        self.first = np.searchsorted(rows[:, 0], np.arange(n + 1))
        self.starts, self.ends = rows[:, 1], rows[:, 2]
        self.nodes = np.flatnonzero(np.diff(self.first))

    def there(self, node: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """Whether nodes are there at these seconds: bool in the shape of `seconds`."""
        found = np.ones(len(node), bool)
        for places, starts, ends in self._each(node):
            last = np.searchsorted(starts, seconds[places], side="right") - 1
            found[places] = (last < 0) | (seconds[places] >= ends[np.maximum(last, 0)])
        return found

    def later(self, node: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """From the seconds for which a node has been there, to the seconds that have passed.

        What ends in the second in which the node leaves has ended before it leaves.
        """
        passed = np.array(seconds, float)
        for places, starts, ends in self._each(node):
            lengths = np.concatenate([[0.0], np.cumsum(ends - starts)])
            leaves = starts - lengths[:-1]  # after so many seconds of its own
            passed[places] += lengths[np.searchsorted(leaves, seconds[places], side="left")]
        return passed

    def _each(self, node: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """For each node that is ever away: where it is in `node`, and its intervals."""
        order = np.argsort(node, kind="stable")
        begin, end = (np.searchsorted(node[order], self.nodes, side=side) for side in ("left", "right"))
        for one, low, high in zip(self.nodes, begin, end, strict=True):
            own = slice(self.first[one], self.first[one + 1])
            yield order[low:high], self.starts[own], self.ends[own]


def absences(intervals: Iterable[Sequence[float]] | None, n: int) -> Absences | None:
    """When nodes are away, see `Absences`; None if none ever is."""
    rows = _rows(() if intervals is None else intervals)
    return Absences(rows, n) if rows.size else None


def _rows(intervals: Iterable[Sequence[float]]) -> np.ndarray:
    """The intervals as f64[k, 3].

    Raises:
      InputError: if they are something else.
    """
    try:
        rows = np.asarray(list(intervals), float)
    except (TypeError, ValueError):
        rows = np.zeros(0)
        fits = False
    else:
        fits = not rows.size or (rows.ndim == 2 and rows.shape[1] == 3)
    need = "need rows (node, start, end); try away=[(0, 10.0, 20.0)]"
    checks.require(fits, f"got away={intervals!r}, {need}")
    return rows.reshape(-1, 3)
