"""Token accounts: nodes save messages that they do not send, and react to what arrives."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np

from jdl import checks
from jdl.events.absent import Absences
from jdl.events.acts import Acts
from jdl.events.mail import MailActs, alone
from jdl.events.pairs import check_neighbours
from jdl.events.travel import Travel, present

__all__ = ["STRATEGIES", "tokens"]

BLOCK = 1 << 14  # random numbers that are drawn at a time
STRATEGIES = ("simple", "generalized", "randomized")


def tokens(
    acts: Acts,
    offsets: np.ndarray,
    neighbours: np.ndarray,
    horizon: float,
    strategy: str = "simple",
    capacity: int = 10,
    reactivity: int = 5,
    latency: float | np.ndarray = 0.0,
    transfer: float = 0.0,
    seed: int | tuple[int, ...] = 0,
    away: Absences | None = None,
) -> tuple[MailActs, np.ndarray]:
    """Each act of a timer sends a model or saves a token; a model that arrives is worked on, and answered by tokens.

    A node with `a` tokens sends by its timer with probability `proactive(a)`, else it has a + 1. When a model arrives
    the node reads it and works; then it pays `reactive(a)` tokens for as many copies of its new model, each to a random
    out-neighbour. All messages count as useful. Accounts begin empty. With capacity C and reactivity A:

    - "simple": proactive is 1 if a >= C, else 0; reactive is 1 if a > 0, else 0.
    - "generalized": proactive as simple; reactive is (A - 1 + a) / A, rounded down.
    - "randomized": proactive is (a - A + 1) / (C - A + 1), within 0 and 1; reactive is a / A, rounded up or down at
      random so that this is the mean.

    Every act of a timer gives one message or one token, and no account exceeds C: in the long run each node sends one
    message for each period of its timer.

    Args:
      acts: whose timer fires when.
      offsets: i[n + 1]; node i sends to some of `neighbours[offsets[i]:offsets[i + 1]]`.
      neighbours: see `push`.
      horizon: see `push`.
      strategy: "simple", "generalized" or "randomized".
      capacity: the largest number C of tokens that are saved, at least 1.
      reactivity: A, 1 to C: for about so many tokens one more copy is sent. "simple" does not use it.
      latency: see `push`.
      transfer: see `push`.
      seed: of all draws.
      away: see `push`.

    Returns:
      the acts, and the tokens of each node at the end, i64[n].

    Raises:
      InputError: if a node has no out-neighbour, where there are others, or if a number is out of range.

    References:
      Danner, Jelasity 2018, Token Account Algorithms: The Best of the Proactive and Reactive Worlds. Public code of the
      three strategies was read; the paper was not.

    >>> timers = Acts(np.arange(1.0, 9.0), np.array([0, 1] * 4))
    >>> found, left = tokens(timers, np.array([0, 1, 2]), np.array([1, 0]), 9.0, capacity=2, latency=0.1)
    >>> int(found.copies.sum() + left.sum())
    8
    """
    check_neighbours(offsets)
    checks.known("strategy", strategy, STRATEGIES)
    C, A = checks.whole("capacity", capacity, 1), checks.whole("reactivity", reactivity, 1)
    fits = strategy == "simple" or A <= C
    checks.require(fits, f"got reactivity={A} with capacity={C}, need at most as much; try reactivity={C}")
    n = len(offsets) - 1
    if n == 1:
        return alone(acts), np.zeros(1, np.int64)
    travel, there, rng = Travel(latency, transfer, horizon, n, away), present(away), np.random.default_rng(seed)
    lasts = travel.seconds(np.asarray(neighbours), np.repeat(np.arange(n), np.diff(offsets))).tolist()
    first, listed, account = np.asarray(offsets).tolist(), np.asarray(neighbours).tolist(), [0] * n
    chances, found, heap, message = _uniform(rng), [], [], -1

    def sends(seconds: float, node: int, copies: int) -> None:
        nonlocal message
        message += 1
        found.append((seconds, node, False, message, copies, -1))
        for _ in range(copies):
            link = first[node] + int(next(chances) * (first[node + 1] - first[node]))
            # Of what arrives in the same second, what was sent first is read first.
            heapq.heappush(heap, (seconds + lasts[link], message, listed[link]))

    def arrives() -> None:
        seconds, read, node = heapq.heappop(heap)
        if not there(node, seconds):
            return
        found.append((seconds, node, True, -1, 0, read))
        copies = _reactive(strategy, account[node], A, chances)
        if copies:
            account[node] -= copies
            sends(seconds, node, copies)

    for seconds, node in zip(acts.seconds.tolist(), acts.node.tolist(), strict=True):
        if seconds > horizon:
            break
        while heap and heap[0][0] <= seconds:
            arrives()
        if next(chances) < _proactive(strategy, account[node], C, A):
            sends(seconds, node, 1)
        else:
            account[node] += 1
    while heap and heap[0][0] <= horizon:
        arrives()
    some = f"got horizon={horizon:g} in which no token is spent, need a message; give a longer one or less capacity"
    checks.require(bool(found), some)
    seconds, node, works, posts, copies, reads = zip(*found, strict=True)
    whole = [np.array(x, np.int32) for x in (node, posts, copies, reads)]
    node, posts, copies, reads = whole
    return MailActs(np.array(seconds), node, np.array(works), posts, copies, reads[:, None]), np.array(account)


def _proactive(strategy: str, a: int, C: int, A: int) -> float:
    """The probability that a timer sends."""
    return (a - A + 1) / (C - A + 1) if strategy == "randomized" else float(a >= C)


def _reactive(strategy: str, a: int, A: int, chances: Iterator[float]) -> int:
    """How many copies are sent when a message arrives."""
    if strategy == "simple":
        return int(a > 0)
    return (A - 1 + a) // A if strategy == "generalized" else int(a / A + next(chances))


def _uniform(rng: np.random.Generator) -> Iterator[float]:
    """Uniform numbers one by one, drawn in blocks."""
    while True:
        yield from rng.random(BLOCK).tolist()
