"""Push-sum without rounds: nodes send halves of their masses, and add up what has arrived."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.events.acts import Acts
from jdl.events.mail import MailActs, in_order
from jdl.events.travel import Travel, chosen

__all__ = ["split"]


def split(
    acts: Acts,
    offsets: np.ndarray,
    neighbours: np.ndarray,
    horizon: float,
    latency: float | np.ndarray = 0.0,
    transfer: float = 0.0,
    most: int = 4,
    seed: int | tuple[int, ...] = 0,
) -> tuple[MailActs, int]:
    """Each act reads what has arrived since the last act of its node, and sends to a random out-neighbour.

    Only what comes before the second of the act has arrived. Messages are read in the order of their arrival, `most` of
    them at most in an act; the others wait for the next act of their reader. They wait for a node that is away as well,
    since a message that is lost would take its mass along.

    Args:
      acts: whose computations end when; each node works in all of its acts.
      offsets: i[n + 1]; node i sends to one of `neighbours[offsets[i]:offsets[i + 1]]`, and to nobody if it has none.
      neighbours: see `push`.
      horizon: see `push`.
      latency: see `push`.
      transfer: see `push`.
      most: the largest number k of messages that are read in an act, at least 1.
      seed: of all draws.

    Returns:
      the acts, and the number of messages that had to wait for a later act since too many had arrived.

    Raises:
      InputError: if a number is out of range.

    >>> acts = Acts(np.array([1.0, 1.0, 2.0, 3.0]), np.array([0, 1, 2, 2]))
    >>> found, waited = split(acts, np.array([0, 1, 2, 3]), np.array([2, 2, 0]), horizon=9.0, most=1)
    >>> found.reads[:, 0].tolist(), waited
    ([-1, -1, 0, 1], 1)
    """
    n, count, most = len(offsets) - 1, len(acts.node), checks.whole("most", most, 1)
    travel = Travel(latency, transfer, horizon, n)
    offsets, neighbours = np.asarray(offsets), np.asarray(neighbours)
    receiver = chosen(acts.node, offsets, neighbours, np.random.default_rng(seed))
    sent = np.flatnonzero(receiver >= 0)
    arrival = acts.seconds[sent] + travel.seconds(receiver[sent], acts.node[sent])
    queue = np.lexsort((sent, arrival, receiver[sent]))  # receiver by receiver, in the order of arrival
    message, arrival = sent[queue], arrival[queue]
    starts = np.searchsorted(receiver[message], np.arange(n + 1))
    order = np.argsort(acts.node, kind="stable")
    own = np.searchsorted(acts.node[order], np.arange(n + 1))
    reads, waited = np.full((count, most), -1, np.int64), 0
    for i in range(n):
        here, mine = slice(starts[i], starts[i + 1]), order[own[i] : own[i + 1]]
        first = np.searchsorted(acts.seconds[mine], arrival[here], side="right")  # the act after the arrival
        # Places in acts are numbered on: each message takes the next one that is not before its first act.
        turn = np.arange(first.size)
        place = turn + np.maximum.accumulate(first * most - turn)
        act = place // most
        waited += int(np.sum((act > first) & (first < mine.size)))
        some = act < mine.size
        reads[mine[act[some]], place[some] % most] = message[here][some]
    sends = receiver >= 0
    posts = np.where(sends, np.arange(count), -1)
    found = MailActs(acts.seconds, acts.node, np.ones(count, bool), posts, sends.astype(np.int32), reads)
    return in_order(found, (np.arange(count),), horizon), waited
