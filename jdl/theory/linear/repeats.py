"""The round from which on rounds repeat, and their period."""

from __future__ import annotations

import jax
import numpy as np

from jdl.engine.sim import RunState
from jdl.theory.linear.law import EXACT
from jdl.theory.linear.vector import Packing, discrete_leaves

__all__ = ["outcomes_change", "repeats"]

# Two means of random rounds count as equal if they differ by at most this many standard errors.
ERRORS = 6.0
# The values of at most this many numbers are compared.
SOME = 100


def repeats(probed: np.ndarray, known: RunState, packing: Packing, random: bool) -> tuple[int, int] | tuple[None, None]:
    """The round from which on rounds repeat, and the period: the smallest that fit; None and None if none does."""
    others = [leaf for _, leaf in discrete_leaves(jax.tree.map(lambda x: x[None], known), packing)]
    timeless = [leaf[0] for leaf in others if leaf.ndim > 2 or not np.array_equal(leaf[0], np.arange(leaf.shape[1]))]
    rounds = len(probed)
    size = np.abs(probed).max()
    probed = np.concatenate([probed, probed**2 / size], axis=2)  # rounds may differ in their variances alone
    mean = probed.mean(axis=1)
    error = ERRORS * np.sqrt(2 * probed.var(axis=1).max(axis=0) / probed.shape[1]) + EXACT * size
    for period in range(1, rounds // 2 + 1):
        apart = np.abs(mean[period:] - mean[:-period])
        last = rounds - 1 - (rounds - 1 - np.arange(rounds - period)) % period  # the last round of equal place
        apart = np.maximum(apart, np.abs(mean[:-period] - mean[last]))  # a slow change adds up
        same = np.all(apart <= (error if random else EXACT * size), axis=1)
        for leaf in timeless:
            scale = EXACT * max(np.abs(leaf.astype(float)).max(), 1.0) if leaf.size else 1.0
            near = np.abs(leaf[period:].astype(float) - leaf[:-period].astype(float)) <= scale
            same &= near.reshape(rounds - period, -1).all(axis=1)
        settled = int(np.max(np.flatnonzero(~same), initial=-1)) + 1
        if rounds - settled >= 2 * period and settled <= rounds // 2:
            changes = random and outcomes_change(probed[settled::period])
            return (None, None) if changes else (settled, period)
    return None, None


def outcomes_change(probed: np.ndarray) -> bool:
    """Whether numbers that take few values in each round take other values in the first than in the last.

    A mean of random rounds hides a slow change; the values themselves do not.

    Args:
      probed: f[round, key, number].
    """
    near = EXACT * np.abs(probed).max()
    chosen = np.unique(np.linspace(0, probed.shape[2] - 1, SOME).astype(int))
    for first, last in zip(np.sort(probed[0][:, chosen].T), np.sort(probed[-1][:, chosen].T), strict=True):
        few = all((np.diff(values) <= near).mean() > 0.5 for values in (first, last))
        if few and np.abs(first[:, None] - last[None]).min() > near:
            return True
    return False
