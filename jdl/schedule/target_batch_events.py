"""Rounds of a given number of microbatches as discrete events on the host: who does how many, in double precision."""

from __future__ import annotations

import numpy as np

from jdl import checks

__all__ = ["planned"]


def planned(
    seconds: np.ndarray, target: int, rounds: int, ready: np.ndarray, end: np.ndarray, averaging: float
) -> tuple[np.ndarray, np.ndarray]:
    """The microbatches of each peer, i32[T, n], and when the first t rounds have ended, f[T + 1]; see `TargetBatch`.

    Args:
      seconds: f[n], the seconds of a microbatch of each peer.
      target: the microbatches of a round.
      rounds: T.
      ready: f[n], from when on each peer can take part in a round that begins.
      end: f[n], when each leaves, inf for never.
      averaging: seconds from the end of the work of a round to the beginning of the next.

    Raises:
      InputError: if nobody is left before the rounds are over.
    """
    n, now = len(seconds), 0.0
    counts, seconds_at = np.zeros((rounds, n), np.int32), np.zeros(rounds + 1)
    for t in range(rounds):
        there = (ready <= now) & (now < end)
        while True:
            if not there.any():  # what was done is lost, and the round begins when the next peer is there
                later = np.maximum(ready, now)[end > np.maximum(ready, now)]
                gone = f"got peers of whom nobody is left at second {now:g}, in round {t} of {rounds}"
                checks.require(later.size > 0, f"{gone}, need one for each round; plan fewer rounds")
                now = float(later.min())
                there = (ready <= now) & (now < end)
            counts[t], lasts = _computed(seconds, there, target)
            leaving = np.where(there, end, np.inf)
            if leaving.min() >= now + lasts:
                break
            there[np.argmin(leaving)] = False
            now = now if there.any() else float(leaving.min())
        now = seconds_at[t + 1] = now + lasts + averaging
    return counts, seconds_at


def _computed(seconds: np.ndarray, there: np.ndarray, target: int) -> tuple[np.ndarray, float]:
    """i[n], the microbatches of those who are there, and the second after their start at which `target` are done."""
    who = np.flatnonzero(there)
    # By then at least `target` are done, and less than `target` + 2 n: each peer has given up less than one.
    most = (target + len(who)) / np.sum(1 / seconds[who])
    each = [seconds[i] * np.arange(1, int(most / seconds[i]) + 2) for i in who]
    lasts = float(np.partition(np.concatenate(each), target - 1)[target - 1])
    counts = np.zeros(len(seconds), np.int32)
    counts[who] = [np.searchsorted(ends, lasts, side="right") for ends in each]
    return counts, lasts
