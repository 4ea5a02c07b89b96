"""Pairs whose transfers keep both nodes busy, one event after another."""

from __future__ import annotations

import heapq

import numpy as np

from jdl import checks
from jdl.events.acts import check_horizon, durations, means
from jdl.events.pairs import Events, check_neighbours

__all__ = ["busy_pairs"]

BLOCK = 1 << 14  # random numbers that are drawn at a time


def busy_pairs(
    seconds_per_step: float | np.ndarray,
    transfer: float,
    horizon: float,
    offsets: np.ndarray,
    neighbours: np.ndarray,
    law: str = "constant",
    spread: float = 0.5,
    seed: int = 0,
) -> Events:
    """Devices that exchange models with a partner when a computation ends, where an exchange takes time.

    A node that ends a computation draws a partner. The exchange begins when both have ended their earlier exchanges,
    those who asked first being served first, and ends `transfer` seconds later: that is the second of the event. The
    node begins its next computation then. Its partner goes on computing meanwhile, for it is asked, and does not ask.

    Args:
      seconds_per_step: the mean duration of a computation, more than 0: one number, or f[n].
      transfer: seconds of an exchange, at least 0.
      horizon: the length of the plan, in seconds.
      offsets: see `paired`.
      neighbours: see `paired`.
      law: see `devices`.
      spread: see `devices`.
      seed: of all draws.

    Raises:
      InputError: as `devices` and `paired`, or if `transfer` is negative.

    >>> two = np.array([0, 1, 2]), np.array([1, 0])
    >>> busy_pairs(np.array([1.0, 1.5]), 1.0, 5.0, *two).seconds  # the second waits for the first
    array([2., 3., 4.])
    """
    check_horizon(horizon, float(np.sum(1 / means("seconds_per_step", seconds_per_step, len(offsets) - 1))))
    check_neighbours(offsets)
    need = f"got transfer={transfer!r}, need one number of seconds, at least 0; try transfer=0.1"
    checks.require(np.ndim(transfer) == 0 and not isinstance(transfer, str), need)
    checks.bounded("transfer", transfer, 0, None)
    n, rng = len(offsets) - 1, np.random.default_rng(seed)
    draw = durations(seconds_per_step, n, law, spread, rng)
    first, degree, listed = offsets.tolist(), np.diff(offsets).tolist(), np.asarray(neighbours).tolist()
    everyone = np.arange(n, dtype=np.int32)
    heap = [(seconds, node) for node, seconds in enumerate(draw(everyone).tolist())]
    heapq.heapify(heap)
    # A duration has the law of its node times a number that is drawn ahead, in blocks.
    mean = durations(seconds_per_step, n, "constant", 0.0, rng)(everyone).tolist()
    unit = durations(1.0, 1, law, spread, rng)
    free, found, place = [0.0] * n, [], BLOCK
    while heap[0][0] <= horizon:
        if place == BLOCK:
            draws, chances, place = unit(np.zeros(BLOCK, np.int32)).tolist(), rng.random(BLOCK).tolist(), 0
        asked, node = heap[0]
        many = degree[node]
        partner = listed[first[node] + int(chances[place] * many)] if many else node
        begins = max(asked, free[node], free[partner])
        ends = begins + transfer if many else begins
        free[node] = free[partner] = ends
        found.append((ends, node, partner))
        heapq.heapreplace(heap, (ends + mean[node] * draws[place], node))
        place += 1
    found = [event for event in found if event[0] <= horizon]
    checks.require(bool(found), f"got horizon={horizon:g} in which no exchange ends, need one; give a longer one")
    found.sort(key=lambda event: event[0])  # stable: events of one node are in their order already
    seconds, node, partner = zip(*found, strict=True)
    return Events(np.array(seconds), np.array(node, np.int32), np.array(partner, np.int32))
