"""The clients of a server as discrete events on the host: who finishes when, in double precision."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jdl.events.acts import durations

__all__ = ["Planned", "factors", "of_one_width", "planned"]

BLOCK = 4096  # random numbers that are drawn at a time


class Planned(NamedTuple):
    """Who arrives in each round, and who begins after it.

    Attributes:
      clients: i32[T, m], ascending and distinct.
      used: bool[T, m], whether the client arrives.
      begins: bool[T, m], whether the client begins; None where those who arrive do. Rows of clients that do neither are
        there for the width alone.
      seconds_at: f64[T + 1], the second at which the first t rounds have happened.
      waited_at: f64[T + 1], for how long all clients together have not computed by then.
    """

    clients: np.ndarray
    used: np.ndarray
    begins: np.ndarray | None
    seconds_at: np.ndarray
    waited_at: np.ndarray


def planned(
    seconds: np.ndarray,
    rounds: int,
    law: str,
    sigma: float,
    buffer: int,
    window: float | None,
    concurrency: int,
    seed: int,
) -> Planned:
    """Simulate the clients event by event; see `Arrivals.of` for the arguments, which are checked there.

    Of clients that finish in the same second the one with the smaller number arrives first. Times are drawn in the
    order in which clients begin.
    """
    n, own = len(seconds), seconds.tolist()
    factor, all_work = factors(law, sigma, seed), concurrency == n
    idle = _Idle(n, concurrency, seed)
    working = [(own[i] * next(factor), i) for i in idle.first]
    heapq.heapify(working)
    if buffer == 1 and window is None and all_work:
        return _one_by_one(working, own, factor, rounds)
    batches, beginners, seconds_at, waited_at = [], [], np.zeros(rounds + 1), np.zeros(rounds + 1)
    for t in range(rounds):
        now, batch = 0.0, []
        if window is None:
            for _ in range(buffer):
                now, client = heapq.heappop(working)
                batch.append((now, client))
        else:
            now = (t + 1) * window
            while working and working[0][0] <= now:
                batch.append(heapq.heappop(working))
        waits = sum(now - arrived for arrived, _ in batch)  # all others still compute
        waited_at[t + 1] = waited_at[t] + waits + (n - concurrency) * (now - seconds_at[t])
        batch = [client for _, client in batch]
        # Those who arrived have waited for the server's step, and others begin for them, or they themselves.
        begin = batch if all_work else idle.drawn_after(batch)
        for client in begin:
            heapq.heappush(working, (now + own[client] * next(factor), client))
        batches.append(batch)
        beginners.append(begin)
        seconds_at[t + 1] = now
    if all_work:
        clients, used = of_one_width(batches, n)
        return Planned(clients, used, None, seconds_at, waited_at)
    clients, _ = of_one_width([list({*batch, *begin}) for batch, begin in zip(batches, beginners, strict=True)], n)
    used, begins = (_among(clients, who) for who in (batches, beginners))
    return Planned(clients, used, begins, seconds_at, waited_at)


class _Idle:
    """The clients that do not work, of whom those who begin are drawn uniformly.

    Attributes:
      first: those who work at second 0.
    """

    def __init__(self, n: int, concurrency: int, seed: int):
        if concurrency == n:
            self.first = list(range(n))
            return
        self.rng = np.random.default_rng((seed, 1))  # draws of its own, so that times do not depend on them
        order = self.rng.permutation(n).tolist()
        self.first, self.idle = sorted(order[:concurrency]), order[concurrency:]

    def drawn_after(self, batch: list[int]) -> list[int]:
        """As many as have arrived, who are idle now as well; the drawn ones are not idle any more."""
        self.idle += batch
        drawn = []
        for _ in batch:
            place = int(self.rng.integers(len(self.idle)))
            self.idle[place], self.idle[-1] = self.idle[-1], self.idle[place]
            drawn.append(self.idle.pop())
        return drawn


def _one_by_one(working: list[tuple[float, int]], own: list[float], factor: Iterator[float], rounds: int) -> Planned:
    """The same for one arrival a round, without lists of clients."""
    clients, seconds_at = [0] * rounds, [0.0] * (rounds + 1)
    for t in range(rounds):
        now, client = working[0]
        clients[t], seconds_at[t + 1] = client, now
        heapq.heapreplace(working, (now + own[client] * next(factor), client))
    alone, clients = np.ones((rounds, 1), bool), np.asarray(clients, np.int32)[:, None]
    return Planned(clients, alone, None, np.asarray(seconds_at), np.zeros(rounds + 1))


def of_one_width(batches: list[list[int]], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Batches in ascending rows of one width, i32[T, m], others filling them up; bool[T, m], who is in the batch."""
    width = max(1, *map(len, batches))
    clients, used = np.zeros((len(batches), width), np.int32), np.zeros((len(batches), width), bool)
    for t, batch in enumerate(batches):
        there = set(batch)
        rest = (client for client in range(n) if client not in there)
        row = sorted([*batch, *(next(rest) for _ in range(width - len(batch)))])
        clients[t], used[t] = row, [client in there for client in row]
    return clients, used


def _among(clients: np.ndarray, batches: list[list[int]]) -> np.ndarray:
    """Which of the clients of each round are in its batch: bool[T, m]."""
    there = map(set, batches)
    return np.array([[client in who for client in row] for row, who in zip(clients.tolist(), there, strict=True)])


def factors(law: str, sigma: float, seed: int) -> Iterator[float]:
    """Random factors of mean one on the times of clients."""
    draw = durations(1.0, 1, law, sigma, np.random.default_rng(seed))
    while True:
        yield from draw(np.zeros(BLOCK, np.int32)).tolist()
