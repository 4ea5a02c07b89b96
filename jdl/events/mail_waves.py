"""Waves of acts whose messages are read in later waves, and the places in which messages wait."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from jdl import checks
from jdl.events.mail import MailActs, posted_in
from jdl.events.mail_places import mail_places
from jdl.events.windows import windows

__all__ = ["MailTable", "mail_waves"]


class MailTable(NamedTuple):
    """T waves with m rows each: executing them in order is executing the acts one at a time in their order.

    In a wave all messages are read before any is put into its place. All acts of a window are in its waves, and each
    window has the same number of waves; those that it does not need are empty.

    Attributes:
      act: i32[T, m], the number of the act of each row among all acts, first those that work; -1 for none.
      posts: i32[T, m], the place of the message that each row sends; `places` for none.
      reads: i32[T, m, k], the place of each message that is read; -1 for none.
      places: the number of places, the smallest for these waves.
      seconds: f64[T + 1], the second at which all acts of the first t waves have happened. At the end of a window, no
        other act has.
      per_window: the number of waves of a window.
      workers: the number of rows of each wave that may work.
    """

    act: np.ndarray
    posts: np.ndarray
    reads: np.ndarray
    places: int
    seconds: np.ndarray
    per_window: int
    workers: int


def mail_waves(
    acts: MailActs,
    n: int,
    width: int,
    idle_width: int | None = None,
    window_events: int | None = None,
    window_seconds: float | None = None,
    keep: bool = False,
) -> MailTable:
    """Put acts into waves: each into the first that has room, after the last act of its node and what it reads.

    A message takes its place from the wave in which it is sent to that in which it is read for the last time. One that
    is never read takes none.

    Args:
      acts: in the order in which they happen.
      n: number of nodes.
      width: the largest number of acts of a wave that work, at least 1.
      idle_width: the largest number of its other acts; None for `width`. Where all acts work it is 0.
      window_events: the number of acts of a window; None for windows of one size, of about 4 n.
      window_seconds: the length of a window in seconds, in place of a number of acts.
      keep: whether messages that are never read keep a place to the end.

    Raises:
      InputError: if times are negative or not in order, or if both kinds of windows are asked for.

    >>> one = np.array([True, True]), np.array([0, -1]), np.array([1, 0]), np.array([[-1], [0]])
    >>> table = mail_waves(MailActs(np.array([1.0, 2.0]), np.array([0, 1]), *one), n=2, width=2)
    >>> table.act.tolist(), table.reads[..., 0].tolist(), table.places
    ([[0, -1], [1, -1]], [[-1, -1], [0, -1]], 1)
    """
    width = checks.whole("width", width, 1)
    idle_width = 0 if acts.works.all() else checks.whole("idle_width", width if idle_width is None else idle_width, 1)
    seconds = np.asarray(acts.seconds, float)
    window = windows(seconds, n, window_events, window_seconds)
    place, per_window = _placed(acts, window, n, (idle_width, width))
    wave = window * per_window + place
    total, m = (int(window[-1]) + 1) * per_window, width + idle_width
    k = acts.reads.shape[1]
    checks.fits((13 * k + 29) * total * m, f"{total:,} waves of {m:,} acts that read {k:,} messages")
    # Rows in the order of acts, those that work first.
    group = 2 * wave + ~acts.works
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group, minlength=2 * total)
    row = np.arange(order.size) - np.repeat(np.cumsum(sizes) - sizes, sizes) + np.where(acts.works[order], 0, width)
    table = np.full((total, m), -1, np.int32)
    table[wave[order], row] = order
    waiting, places = mail_places(acts, wave, total if keep else -1)
    posts, reads = np.full((total, m), places, np.int32), np.full((total, m, k), -1, np.int32)
    posts[wave[order], row] = waiting[acts.posts[order]]
    waiting[-1] = -1
    reads[wave[order], row] = waiting[acts.reads[order]]
    latest = np.zeros(total + 1)
    np.maximum.at(latest, wave + 1, seconds)
    if window_seconds is not None:
        latest[per_window::per_window] = window_seconds * np.arange(1, int(window[-1]) + 2)
    return MailTable(table, posts, reads, places, np.maximum.accumulate(latest), per_window, width)


def _placed(acts: MailActs, window: np.ndarray, n: int, widths: tuple[int, int]) -> tuple[np.ndarray, int]:
    """The wave of each act in its window, and the number of waves of a window.

    A loop over Python's own numbers, since each wave depends on those before.
    """
    node, works = acts.node.tolist(), acts.works.tolist()
    starts = np.searchsorted(window, np.arange(window[-1] + 2)).tolist()
    source = np.append(posted_in(acts), -1)[acts.reads]  # the act of each message
    first = np.asarray(starts)[window]
    here = np.where(source >= first[:, None], source - first[:, None], -1).tolist()
    found: list[int] = []
    for begin, end in itertools.pairwise(starts):
        size = end - begin
        last, after = [0] * n, [0] * (size + 1)  # the last one is for what was sent in an earlier window
        rooms, opens = [[width] * (size + 1) for width in widths], [0, 0]
        acts_here = zip(node[begin:end], works[begin:end], here[begin:end], strict=True)
        for place, (i, kind, sources) in enumerate(acts_here):
            wave, room = last[i], rooms[kind]
            for one in sources:
                if after[one] > wave:
                    wave = after[one]
            if wave < opens[kind]:
                wave = opens[kind]
            while not room[wave]:
                wave += 1
            room[wave] -= 1
            last[i] = after[place] = wave + 1
            while not room[opens[kind]]:
                opens[kind] += 1
        found += after[:size]
    place = np.array(found) - 1
    return place, int(place.max()) + 1
