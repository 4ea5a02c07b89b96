"""Gossip whose messages take time: pulls, and pushes that are answered."""

from __future__ import annotations

import numpy as np

from jdl.events.absent import Absences
from jdl.events.acts import Acts
from jdl.events.mail import MailActs, alone
from jdl.events.pairs import paired
from jdl.events.stages import staged
from jdl.events.travel import Travel

__all__ = ["pull", "push_pull"]


def pull(
    acts: Acts,
    offsets: np.ndarray,
    neighbours: np.ndarray,
    horizon: float,
    latency: float | np.ndarray = 0.0,
    transfer: float = 0.0,
    seed: int | tuple[int, ...] = 0,
    away: Absences | None = None,
) -> MailActs:
    """Each act asks a random in-neighbour for its model; the answer is read when it arrives, and its reader works.

    The partner answers when the request reaches it, with the model that it has then, and does not work. A request
    carries no model: it takes no act, needs no transfer, and its bits are not counted.

    Args:
      acts: who asks when.
      offsets: i[n + 1]; node i asks one of `neighbours[offsets[i]:offsets[i + 1]]`.
      neighbours: see `push`.
      horizon: see `push`.
      latency: see `push`.
      transfer: see `push`.
      seed: see `push`.
      away: see `push`; a request that finds nobody is lost as well.

    Raises:
      InputError: as `push`, or if nobody answers up to the horizon.

    >>> asks = Acts(np.array([1.0]), np.array([0]))
    >>> found = pull(asks, np.array([0, 1, 2]), np.array([1, 0]), horizon=9.0, latency=1.5, transfer=0.5)
    >>> print(found.seconds, found.node, found.works)
    [2.5 4.5] [1 0] [False  True]
    """
    n = len(offsets) - 1
    if n == 1:
        return alone(acts)
    travel, asked = Travel(latency, transfer, horizon, n, away), paired(acts, offsets, neighbours, seed)
    request = asked.seconds + travel.seconds(asked.partner, asked.node, model=False)
    answered = travel.arrives(asked.partner, request)
    arrival = request + travel.seconds(asked.node, asked.partner)
    read = answered & travel.arrives(asked.node, arrival)
    return staged(
        [(request, asked.partner, answered), (arrival, asked.node, read)],
        [(True, False, False), (False, True, True)],
        horizon,
    )


def push_pull(
    acts: Acts,
    offsets: np.ndarray,
    neighbours: np.ndarray,
    horizon: float,
    latency: float | np.ndarray = 0.0,
    transfer: float = 0.0,
    seed: int | tuple[int, ...] = 0,
    away: Absences | None = None,
) -> MailActs:
    """Each act sends a model to a random neighbour, which works on it, and answers with the model that it had before.

    The node that began reads the answer when it arrives, and works.

    Args:
      acts: who begins when.
      offsets: i[n + 1]; node i begins with one of `neighbours[offsets[i]:offsets[i + 1]]`.
      neighbours: see `push`.
      horizon: see `push`.
      latency: see `push`.
      transfer: see `push`.
      seed: see `push`.
      away: see `push`; who is away does not answer either.

    Raises:
      InputError: as `push`.

    >>> begins = Acts(np.array([1.0]), np.array([0]))
    >>> found = push_pull(begins, np.array([0, 1, 2]), np.array([1, 0]), horizon=9.0, latency=1.5)
    >>> print(found.seconds, found.node, found.posts, found.reads[:, 0])
    [1.  2.5 4. ] [0 1 0] [ 0  1 -1] [-1  0  1]
    """
    n = len(offsets) - 1
    if n == 1:
        return alone(acts)
    travel, sent = Travel(latency, transfer, horizon, n, away), paired(acts, offsets, neighbours, seed)
    arrival = sent.seconds + travel.seconds(sent.partner, sent.node)
    answered = travel.arrives(sent.partner, arrival)
    back = arrival + travel.seconds(sent.node, sent.partner)
    read = answered & travel.arrives(sent.node, back)
    return staged(
        [
            (sent.seconds, sent.node, np.full(len(read), True)),
            (arrival, sent.partner, answered),
            (back, sent.node, read),
        ],
        [(True, False, False), (True, True, True), (False, True, True)],
        horizon,
    )
