"""Gossip whose messages take time: pushes."""

from __future__ import annotations

import numpy as np

from jdl.events.absent import Absences
from jdl.events.acts import Acts
from jdl.events.mail import MailActs, alone
from jdl.events.pairs import paired
from jdl.events.stages import staged
from jdl.events.travel import Travel

__all__ = ["push"]


def push(
    acts: Acts,
    offsets: np.ndarray,
    neighbours: np.ndarray,
    horizon: float,
    latency: float | np.ndarray = 0.0,
    transfer: float = 0.0,
    seed: int | tuple[int, ...] = 0,
    away: Absences | None = None,
) -> MailActs:
    """Each act sends the model of its node to a random out-neighbour, which reads it when it arrives, and works.

    Sending and reading are two acts, and who sends does not work. A single node works in each of its acts.

    Args:
      acts: who sends when.
      offsets: i[n + 1]; node i sends to one of `neighbours[offsets[i]:offsets[i + 1]]`.
      neighbours: i[e].
      horizon: the length of the plan, in seconds; later acts are left out.
      latency: seconds for which a message is under way: one number, or f[n, n] from sender (column) to receiver (row).
      transfer: seconds that a model needs beside that: its bits over the bandwidth.
      seed: of all draws.
      away: when nodes are away; what arrives at a node that is away is lost.

    Raises:
      InputError: if a node has no out-neighbour, where there are others, or if a number is out of range.

    >>> sends = Acts(np.array([1.0, 2.0]), np.array([0, 1]))
    >>> found = push(sends, np.array([0, 1, 2]), np.array([1, 0]), horizon=9.0, latency=1.5)
    >>> print(found.seconds, found.node, found.posts, found.reads[:, 0])
    [1.  2.  2.5 3.5] [0 1 1 0] [ 0  1 -1 -1] [-1 -1  0  1]
    """
    n = len(offsets) - 1
    if n == 1:
        return alone(acts)
    travel, sent = Travel(latency, transfer, horizon, n, away), paired(acts, offsets, neighbours, seed)
    arrival = sent.seconds + travel.seconds(sent.partner, sent.node)
    read = travel.arrives(sent.partner, arrival)
    return staged(
        [(sent.seconds, sent.node, np.full(len(read), True)), (arrival, sent.partner, read)],
        [(True, False, False), (False, True, True)],
        horizon,
    )
