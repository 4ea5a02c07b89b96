"""Nodes that never wait: each reads the newest that has arrived from every neighbour."""

from __future__ import annotations

import numpy as np

from jdl.events.absent import Absences
from jdl.events.acts import Acts
from jdl.events.mail import MailActs, in_order
from jdl.events.travel import Travel

__all__ = ["publish"]


def publish(
    acts: Acts,
    offsets: np.ndarray,
    neighbours: np.ndarray,
    horizon: float,
    latency: float | np.ndarray = 0.0,
    transfer: float = 0.0,
    away: Absences | None = None,
) -> MailActs:
    """Each act reads the newest message that has arrived from every in-neighbour, and sends its own to all.

    A message is read again where no newer one has arrived. Only what comes before the second of the act has arrived:
    computations that end together do not hear of each other. So nodes of equal speed, whose messages need less than a
    computation, mix what their neighbours sent in the round before.

    Args:
      acts: whose computations end when; each node works in all of its acts.
      offsets: i[n + 1]; the in-neighbours of node i are `neighbours[offsets[i]:offsets[i + 1]]`, and slot s reads the
        s-th of them.
      neighbours: see `push`.
      horizon: see `push`.
      latency: see `push`.
      transfer: see `push`.
      away: see `push`.

    Raises:
      InputError: if a number is out of range.

    >>> acts = Acts(np.array([1.0, 2.0, 2.0, 3.0]), np.array([0, 0, 1, 0]))
    >>> print(publish(acts, np.array([0, 1, 2]), np.array([1, 0]), horizon=3.0, latency=0.1).reads[:, 0])
    [-1 -1  0  2]
    """
    n, count = len(offsets) - 1, len(acts.node)
    travel, neighbours = Travel(latency, transfer, horizon, n, away), np.asarray(neighbours)
    degree = np.diff(offsets)
    receiver = np.repeat(np.arange(n), degree)
    slot = np.arange(receiver.size) - np.asarray(offsets)[receiver]
    order = np.argsort(acts.node, kind="stable")
    own = np.split(order, np.searchsorted(acts.node[order], np.arange(1, n)))  # acts of each node
    times = [acts.seconds[which] for which in own]
    reads = np.full((count, max(int(degree.max(initial=0)), 1)), -1, np.int64)
    lasts = travel.seconds(receiver, neighbours)
    links = zip(receiver.tolist(), neighbours.tolist(), slot.tolist(), lasts.tolist(), strict=True)
    for i, j, s, last in links:
        arrival = times[j] + last
        newest = np.append(own[j], -1)
        if away is not None:  # what is lost leaves the one before it as the newest
            there = travel.arrives(np.full(arrival.size, i), arrival)
            arrived = np.maximum.accumulate(np.where(there, np.arange(arrival.size), -1))
            newest = np.append(newest[arrived], -1)
        reads[own[i], s] = newest[np.searchsorted(arrival, times[i], side="left") - 1]
    copies = np.bincount(neighbours, minlength=n)[acts.node]
    posts = np.where(copies > 0, np.arange(count), -1)
    found = MailActs(acts.seconds, acts.node, np.ones(count, bool), posts, copies, reads)
    return in_order(found, (np.arange(count),), horizon)
