"""Times of steps of which a share is slower."""

from __future__ import annotations

import numpy as np

from jdl import checks

__all__ = ["slow"]

LONGEST = 1e30  # seconds, which a float32 holds


def slow(n: int, step: float = 0.1, share: float = 0.1, factor: float = 10.0, seed: int = 0) -> np.ndarray:
    """The seconds of a step of n nodes, of which some, drawn at random, are slower than the others.

    Args:
      n: number of nodes, at least 1.
      step: the seconds of a step of the other nodes.
      share: the share of slow nodes, in [0, 1]; their number is rounded to the nearest whole number.
      factor: how many times slower they are.
      seed: draws them.

    Returns:
      f[n], for `Clock(step=...)`, or for the median of `LogNormal`.

    Raises:
      InputError: if a number is out of its range.

    >>> sorted(slow(10, step=1.0, share=0.2).tolist())[-3:]
    [1.0, 10.0, 10.0]
    """
    n, seed = checks.whole("n", n, 1), checks.whole("seed", seed, 0)
    ranges = ("step", step, LONGEST), ("share", share, 1), ("factor", factor, LONGEST)
    for name, value, most in ranges:
        checks.one_number(name, value, 1)
        checks.bounded(name, value, 0, most, 1)
    seconds = np.full(n, step, np.float32)
    seconds[np.random.default_rng(seed).permutation(n)[: round(share * n)]] *= factor
    return seconds
