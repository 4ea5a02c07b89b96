"""The clients of a server as discrete events on the host: who finishes when, in double precision."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jdl.events.acts import durations

__all__ = ["LAWS", "Planned", "planned"]

LAWS = {"constant": "constant", "exponential": "exponential", "lognormal": "log_normal"}  # as `jdl.events` names them
BLOCK = 4096  # draws at once


class Planned(NamedTuple):
    """Who arrives in each round.

    Attributes:
      clients: i32[T, m], ascending and distinct.
      used: bool[T, m], whether the client arrives; rows of the others are there for the width alone.
      seconds_at: f64[T + 1], the second at which the rounds before t have happened.
    """

    clients: np.ndarray
    used: np.ndarray
    seconds_at: np.ndarray


def planned(
    seconds: np.ndarray, rounds: int, law: str, sigma: float, buffer: int, window: float | None, seed: int
) -> Planned:
    """Simulate the clients event by event; see `Arrivals.of` for the arguments, which are checked there.

    Of clients that finish in the same second the one with the smaller number arrives first. Times are drawn in the
    order in which clients begin.
    """
    n, own = len(seconds), seconds.tolist()
    factor = _factors(law, sigma, seed)
    working = [(own[i] * next(factor), i) for i in range(n)]
    heapq.heapify(working)
    if buffer == 1 and window is None:
        return _one_by_one(working, own, factor, rounds)
    batches, seconds_at = [], np.zeros(rounds + 1)
    for t in range(rounds):
        now, batch = 0.0, []
        if window is None:
            for _ in range(buffer):
                now, client = heapq.heappop(working)
                batch.append(client)
        else:
            now = (t + 1) * window
            while working and working[0][0] <= now:
                batch.append(heapq.heappop(working)[1])
        # They have waited for the server's step, and begin together.
        for client in batch:
            heapq.heappush(working, (now + own[client] * next(factor), client))
        batches.append(batch)
        seconds_at[t + 1] = now
    return Planned(*_of_one_width(batches, n), seconds_at)


def _one_by_one(working: list[tuple[float, int]], own: list[float], factor: Iterator[float], rounds: int) -> Planned:
    """The same for one arrival a round, without lists of clients."""
    clients, seconds_at = [0] * rounds, [0.0] * (rounds + 1)
    for t in range(rounds):
        now, client = working[0]
        clients[t], seconds_at[t + 1] = client, now
        heapq.heapreplace(working, (now + own[client] * next(factor), client))
    return Planned(np.asarray(clients, np.int32)[:, None], np.ones((rounds, 1), bool), np.asarray(seconds_at))


def _of_one_width(batches: list[list[int]], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Batches of one width: others, who do not arrive, fill them up."""
    width = max(1, *map(len, batches))
    clients, used = np.zeros((len(batches), width), np.int32), np.zeros((len(batches), width), bool)
    for t, batch in enumerate(batches):
        arrive = set(batch)
        rest = (client for client in range(n) if client not in arrive)
        row = sorted([*batch, *(next(rest) for _ in range(width - len(batch)))])
        clients[t], used[t] = row, [client in arrive for client in row]
    return clients, used


def _factors(law: str, sigma: float, seed: int) -> Iterator[float]:
    """Random factors of mean one on the times of clients."""
    draw = durations(1.0, 1, LAWS[law], sigma, np.random.default_rng(seed))
    while True:
        yield from draw(np.zeros(BLOCK, np.int32)).tolist()
