"""Waves: events that share no node, and are executed at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jdl import checks
from jdl.events.pairs import Events
from jdl.events.windows import windows

__all__ = ["WaveTable", "waves"]


class WaveTable(NamedTuple):
    """T waves of at most w events: executing them in order is executing the events one at a time in their order.

    With places for nodes alone (see `waves`), the first of the w places are theirs, and the others those of pairs.

    All events of a window are in its waves, and each window has the same number of waves; those that it does not need
    are empty.

    Attributes:
      event: i32[T, w], the number of the event in each place of a wave among all events; -1 where there is none.
      seconds: f64[T + 1], the second at which all events of the first t waves have happened. At the end of a window, no
        other event has.
      per_window: the number of waves of a window.
    """

    event: np.ndarray
    seconds: np.ndarray
    per_window: int


def waves(
    events: Events,
    n: int,
    width: int,
    window_events: int | None = None,
    window_seconds: float | None = None,
    alone: int | None = None,
) -> WaveTable:
    """Put events into waves: each into the first that has room, after all earlier events of its two nodes.

    Args:
      events: in the order in which they happen.
      n: number of nodes.
      width: the largest number of events of a wave, at least 1; with `alone`, of those of two nodes.
      window_events: the number of events of a window; None for windows of one size, of about 4 n.
      window_seconds: the length of a window in seconds, in place of a number of events.
      alone: the largest number of events of a node alone in a wave, which have places of their own; None if they share
        those of pairs.

    Raises:
      InputError: if times are negative or not in order, if both kinds of windows are asked for, or if there are events
        of a kind that has no places.

    >>> events = Events(np.arange(1.0, 4.0), np.array([0, 2, 1]), np.array([1, 3, 2]))
    >>> table = waves(events, n=4, width=2)
    >>> print(table.event.tolist(), table.seconds)
    [[0, 1], [2, -1]] [0. 2. 3.]
    """
    width = checks.whole("width", width, 0 if alone else 1)
    seconds = np.asarray(events.seconds, float)
    window = windows(seconds, n, window_events, window_seconds)
    paired = (np.asarray(events.node) != events.partner) | (alone is None)
    rooms = (0 if alone is None else checks.whole("alone", alone, 0)), width
    for kind, (room, there) in enumerate(zip(rooms, (not paired.all(), paired.any()), strict=True)):
        got = f"got {('alone', 'width')[kind]}=0 with events of {('a node alone', 'two nodes')[kind]}"
        checks.require(room > 0 or not there, f"{got}, need a place for them; try 1")
    starts = np.searchsorted(window, np.arange(window[-1] + 2))
    node, partner, kind = events.node.tolist(), events.partner.tolist(), paired.astype(int).tolist()
    place = []
    for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        place += _placed(node[begin:end], partner[begin:end], kind[begin:end], n, rooms)
    per_window = max(place) + 1
    wave = window * per_window + np.array(place)
    total = (int(window[-1]) + 1) * per_window
    checks.fits(16 * total * sum(rooms), f"{total:,} waves of {sum(rooms):,} events")
    table = np.full((total, sum(rooms)), -1, np.int32)
    for those, first in ((~paired, 0), (paired, rooms[0])):
        which = np.flatnonzero(those)
        order = which[np.argsort(wave[which], kind="stable")]
        sizes = np.bincount(wave[order], minlength=total)
        rank = np.arange(order.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        table[wave[order], first + rank] = order
    latest = np.zeros(total + 1)
    np.maximum.at(latest, wave + 1, seconds)
    if window_seconds is not None:
        latest[per_window::per_window] = window_seconds * np.arange(1, int(window[-1]) + 2)
    return WaveTable(table, np.maximum.accumulate(latest), per_window)


def _placed(node: list[int], partner: list[int], kind: list[int], n: int, rooms: tuple[int, int]) -> list[int]:
    """The wave of each event of a window: a loop over Python's own numbers, since each wave depends on those before.

    An event of kind k takes one of `rooms[k]` places of its wave: 0 is that of a node alone, 1 that of a pair.

    It takes about half a microsecond an event; arrays would be passed over once for each wave.
    """
    last, found = [0] * n, []
    left = [[room] * (len(node) + 1) for room in rooms]  # places that are left in each wave
    first_open = [0, 0]
    for i, j, k in zip(node, partner, kind, strict=True):
        wave = last[i] if last[i] > last[j] else last[j]
        room, first = left[k], first_open[k]
        if wave < first:
            wave = first
        while not room[wave]:
            wave += 1
        room[wave] -= 1
        last[i] = last[j] = wave + 1
        found.append(wave)
        if not room[first]:
            while not room[first]:
                first += 1
            first_open[k] = first
    return found
