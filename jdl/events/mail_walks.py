"""Models that walk over the network and learn where they are."""

from __future__ import annotations

import heapq
from bisect import bisect_right

import numpy as np

from jdl import checks
from jdl.events.absent import Absences
from jdl.events.acts import devices, durations
from jdl.events.mail import MailActs, alone, in_order
from jdl.events.pairs import check_neighbours
from jdl.events.travel import Travel, present

__all__ = ["walks"]

BLOCK = 1 << 12  # random numbers that are drawn at a time


def walks(
    seconds_per_step: float | np.ndarray,
    offsets: np.ndarray,
    neighbours: np.ndarray,
    horizon: float,
    tokens: int = 1,
    law: str = "constant",
    spread: float = 0.5,
    latency: float | np.ndarray = 0.0,
    transfer: float = 0.0,
    seed: int = 0,
    away: Absences | None = None,
) -> MailActs:
    """Models walk at random: each is worked on where it is, and travels on to a random out-neighbour.

    The models begin at different nodes, which are drawn. A node works on one model at a time, in the order in which
    they arrive. When it has done so it reads the message and works, in one act, and sends what has come of it in the
    next act, in the same second.

    Args:
      seconds_per_step: the mean duration of a computation, more than 0: one number, or f[n].
      offsets: i[n + 1]; a model at node i goes to one of `neighbours[offsets[i]:offsets[i + 1]]`; a single node works
        on its own.
      neighbours: see `push`.
      horizon: see `push`.
      tokens: number of models that walk, 1 to n.
      law: see `devices`.
      spread: see `devices`.
      latency: see `push`.
      transfer: see `push`.
      seed: of all draws.
      away: when nodes are away; a model that arrives at such a node is lost, and a computation stops and goes on when
        its node is back.

    Raises:
      InputError: if a node has no out-neighbour, where there are others, or if a number is out of range.

    >>> found = walks(1.0, np.array([0, 1, 2]), np.array([1, 0]), horizon=4.0, latency=0.5)
    >>> print(found.seconds, found.node, found.posts, found.reads[:, 0])
    [1.  1.  2.5 2.5 4.  4. ] [0 0 1 1 0 0] [-1  0 -1  1 -1  2] [-1 -1  0 -1  1 -1]
    """
    check_neighbours(offsets)
    n, tokens = len(offsets) - 1, checks.whole("tokens", tokens, 1)
    checks.require(tokens <= n, f"got tokens={tokens} with n={n}, need a node for each at the start; try tokens={n}")
    if n == 1:
        return alone(devices(seconds_per_step, horizon, 1, law, spread, seed, away))
    travel, there, rng = Travel(latency, transfer, horizon, n, away), present(away), np.random.default_rng(seed)
    mean = durations(seconds_per_step, n, "constant", 0.0, rng)(np.arange(n)).tolist()
    unit = durations(1.0, 1, law, spread, rng)
    lasts = travel.seconds(np.asarray(neighbours), np.repeat(np.arange(n), np.diff(offsets))).tolist()
    first, listed = np.asarray(offsets).tolist(), np.asarray(neighbours).tolist()
    free, found, place = [0.0] * n, [], BLOCK
    # Of each model when it arrives, its number, where, and the message in which it comes.
    heap = [(0.0, token, node, -1) for token, node in enumerate(rng.permutation(n)[:tokens].tolist())]
    visit = 0
    while heap:
        if place == BLOCK:
            draws, chances, place = unit(np.zeros(BLOCK, np.int32)).tolist(), rng.random(BLOCK).tolist(), 0
        arrival, token, node, message = heapq.heappop(heap)
        if not there(node, arrival) and message >= 0:
            continue
        end = _ends(away, node, max(arrival, free[node]), mean[node] * draws[place])
        free[node] = end
        if end <= horizon:
            link = first[node] + int(chances[place] * (first[node + 1] - first[node]))
            heapq.heappush(heap, (end + lasts[link], token, listed[link], visit))
            found.append((end, node, visit, message))
        visit, place = visit + 1, place + 1
    checks.require(bool(found), f"got horizon={horizon:g} in which no computation ends, need one; give a longer one")
    end, node, visit, message = (np.array(column) for column in zip(*found, strict=True))
    none = np.full(end.size, -1)
    both = lambda one, other: np.concatenate([one, other])
    acts = MailActs(
        both(end, end),
        both(node, node),
        both(none == -1, none == 0),
        both(none, visit),
        both(none + 1, none + 2),
        both(message, none)[:, None],
    )
    return in_order(acts, (both(visit, visit), both(none, none + 1)), horizon)


def _ends(away: Absences | None, node: int, start: float, lasts: float) -> float:
    """When a computation ends that begins at `start`, or when its node is back, and stops while the node is away."""
    if away is None:
        return start + lasts
    low, high = int(away.first[node]), int(away.first[node + 1])
    starts, ends = away.starts[low:high].tolist(), away.ends[low:high].tolist()
    next_one = bisect_right(starts, start)
    if next_one and ends[next_one - 1] > start:
        start = ends[next_one - 1]
    end = start + lasts
    for gone in range(next_one, len(starts)):
        if starts[gone] >= end:
            break
        end += ends[gone] - starts[gone]
    return end
