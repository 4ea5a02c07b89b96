"""How long messages travel, and whether they arrive."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

import numpy as np

from jdl import checks
from jdl.events.absent import Absences
from jdl.events.acts import check_horizon

__all__ = ["Travel", "chosen", "present"]


class Travel:
    """The way of messages between n nodes.

    Args:
      latency: seconds for which anything is under way, at least 0: one number, or f[n, n] from sender (column) to
        receiver (row).
      transfer: seconds, at least 0, which a model needs beside that: its bits over the bandwidth.
      horizon: the length of the plan, in seconds.
      n: number of nodes.
      away: when nodes are away; what arrives then is lost.

    Raises:
      InputError: if a number is out of range, or if latencies are of another shape.
    """

    def __init__(
        self, latency: float | np.ndarray, transfer: float, horizon: float, n: int, away: Absences | None = None
    ) -> None:
        check_horizon(horizon)
        checks.bounded("transfer", transfer, 0, None)
        given = np.asarray(latency, float)
        need = f"need one number, or one for each receiver and sender, f[{n}, {n}]; give that"
        checks.require(given.shape in ((), (n, n)), f"got latency of shape {given.shape}, {need}")
        wrong = given[~((given >= 0) & np.isfinite(given))]
        if wrong.size:
            raise checks.InputError(f"got latency={wrong[0]:g}, need seconds of at least 0 that end; try latency=0.1")
        self.latency, self.transfer, self.horizon, self.away = given, float(transfer), horizon, away

    def seconds(self, receiver: np.ndarray, sender: np.ndarray, model: bool = True) -> np.ndarray:
        """How long a message travels, f64 in the shape of the ids; one without a model needs no transfer."""
        found = self.latency[receiver, sender] if self.latency.ndim else np.full(np.shape(receiver), self.latency)
        return found + self.transfer if model else found

    def arrives(self, receiver: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """Whether messages that reach their receivers at these seconds find them there, before the horizon ends."""
        within = seconds <= self.horizon
        return within if self.away is None else within & self.away.there(receiver, seconds)


def chosen(nodes: np.ndarray, offsets: np.ndarray, neighbours: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random neighbour of each of these nodes, all of a node equally likely; -1 for a node without neighbours."""
    degree = np.diff(offsets)[nodes]
    place = np.minimum((rng.random(len(nodes)) * degree).astype(np.int64), degree - 1)
    some = degree > 0
    found = np.full(len(nodes), -1, np.int32)
    found[some] = np.asarray(neighbours)[offsets[nodes[some]] + place[some]]
    return found


def present(away: Absences | None) -> Callable[[int, float], bool]:
    """The function that says whether one node is there at one second: faster than arrays where events come singly."""
    if away is None:
        return lambda node, seconds: True
    first, starts, ends = away.first.tolist(), away.starts.tolist(), away.ends.tolist()

    def there(node: int, seconds: float) -> bool:
        last = bisect_right(starts, seconds, first[node], first[node + 1]) - 1
        return last < first[node] or seconds >= ends[last]

    return there
