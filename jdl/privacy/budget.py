"""What a noise multiplier is worth after some steps, (epsilon, delta), and which one a budget asks for."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np

from jdl import checks

__all__ = ["ACCOUNTANTS", "SAMPLING", "epsilon", "noise_multiplier", "renyi"]

# How batches are drawn, and what is hidden of a data set:
# "poisson": each example is in a batch with the sampling rate, by itself; whether an example is there at all.
# "fixed": batches of one size without replacement, drawn anew for each step; which of two examples is there.
# "cyclic": a pass over the data takes each example once, however they are ordered; whether an example counts at all.
# "tree": noise of a binary tree over the steps of one pass (DP-FTRL); whether an example counts at all.
SAMPLING = ("poisson", "fixed", "cyclic", "tree")
ACCOUNTANTS = ("rdp", "pld")
LARGEST = 1e6  # the largest noise multiplier that is looked at


def epsilon(
    noise_multiplier: float,
    delta: float,
    sampling_rate: float = 1.0,
    steps: int = 1,
    *,
    sampling: str = "poisson",
    accountant: str = "rdp",
) -> float:
    """The epsilon of (epsilon, delta)-differential privacy that some steps of the sampled Gaussian mechanism spend.

    Args:
      noise_multiplier: z, at least 0: each step adds z times the clipping norm to a sum; 0 spends infinity.
      delta: above 0 and below 1; smaller than one over the number of examples.
      sampling_rate: q, the share of the examples that are in a batch, above 0 and at most 1.
      steps: how many batches are answered, at least 1.
      sampling: how batches are drawn, one of `SAMPLING`.
      accountant: "rdp", moments by Renyi divergences, or "pld", the distribution of the privacy loss, which is tighter
        and takes longer; it knows only "poisson" and "cyclic".

    Raises:
      InputError: for numbers out of range, and if dp-accounting is not installed.

    References:
      Mironov, Talwar, Zhang 2019, Renyi Differential Privacy of the Sampled Gaussian Mechanism ("poisson").
      Wang, Balle, Kasiviswanathan 2019, Subsampled Renyi Differential Privacy, Theorem 27 ("fixed").
      Kairouz et al. 2021, Practical and Private (Deep) Learning without Sampling or Shuffling, appendix D ("tree").

    >>> round(epsilon(1.0, delta=1e-5, steps=1), 2)
    4.73
    """
    _check(delta, sampling_rate, steps, sampling, accountant)
    checks.require(noise_multiplier >= 0, f"got noise_multiplier={noise_multiplier}, need a number of at least 0")
    if noise_multiplier == 0:
        return math.inf
    made = _accountant(sampling, accountant)
    with _quietly():
        made.compose(_event(noise_multiplier, sampling_rate, steps, sampling))
    return float(made.get_epsilon(delta))


_epsilon = epsilon  # where an argument has its name


def noise_multiplier(
    epsilon: float,
    delta: float,
    sampling_rate: float = 1.0,
    steps: int = 1,
    *,
    sampling: str = "poisson",
    accountant: str = "rdp",
) -> float:
    """The smallest noise multiplier, to 1 part in 1000, with which some steps spend at most epsilon.

    Args:
      epsilon: the budget, above 0.
      delta: as in `epsilon`.
      sampling_rate: as in `epsilon`.
      steps: as in `epsilon`.
      sampling: as in `epsilon`.
      accountant: as in `epsilon`.

    Raises:
      InputError: as in `epsilon`, and if no noise is enough.

    >>> round(noise_multiplier(4.73, delta=1e-5), 2)
    1.0
    """
    checks.require(epsilon > 0, f"got epsilon={epsilon}, need a budget above 0")
    spent = lambda z: _epsilon(z, delta, sampling_rate, steps, sampling=sampling, accountant=accountant)
    low, high = 0.0, 1.0
    while spent(high) > epsilon:
        low, high = high, 2 * high
        checks.require(high < LARGEST, f"got epsilon={epsilon} and delta={delta}, which no noise keeps; give more")
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if spent(middle) > epsilon else (low, middle)
    return high


def renyi(
    noise_multiplier: float,
    orders: Sequence[float],
    sampling_rate: float = 1.0,
    steps: int = 1,
    *,
    sampling: str = "poisson",
) -> np.ndarray:
    """The Renyi divergences that some steps spend, f[orders].

    Args:
      noise_multiplier: z, above 0.
      orders: the orders alpha, above 1.
      sampling_rate: as in `epsilon`.
      steps: as in `epsilon`.
      sampling: as in `epsilon`.

    Raises:
      InputError: as in `epsilon`.

    >>> renyi(2.0, [2, 3]).tolist()
    [0.25, 0.375]
    """
    _check(0.5, sampling_rate, steps, sampling, "rdp")
    made = _accountant(sampling, "rdp", orders)
    with _quietly():
        made.compose(_event(noise_multiplier, sampling_rate, steps, sampling))
    return made.rdp


def _check(delta: float, sampling_rate: float, steps: int, sampling: str, accountant: str) -> None:
    checks.known("sampling", sampling, SAMPLING)
    checks.known("accountant", accountant, ACCOUNTANTS)
    checks.require(0 < delta < 1, f"got delta={delta}, need a number between 0 and 1; try 1e-5")
    checks.require(0 < sampling_rate <= 1, f"got sampling_rate={sampling_rate}, need a share above 0 and at most 1")
    checks.whole("steps", steps, 1)
    both = accountant == "rdp" or sampling in ("poisson", "cyclic")
    checks.require(both, f"got accountant='pld' with sampling={sampling!r}, need 'rdp', which alone has a bound for it")


def _library() -> ModuleType:
    try:
        import dp_accounting
        import dp_accounting.pld
        import dp_accounting.rdp
    except ImportError as error:
        got = "got a question about a budget without dp-accounting"
        raise checks.InputError(f"{got}, need it; pip install dp-accounting, or jdl[privacy]") from error
    return dp_accounting


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without a warning for each order that the library leaves out, since one order more or less changes little."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _event(z: float, rate: float, steps: int, sampling: str) -> Any:
    """What some steps do, in the words of dp-accounting."""
    dp = _library()
    if sampling == "tree":
        return dp.SingleEpochTreeAggregationDpEvent(z, int(steps))
    if sampling == "cyclic":  # an example is in one batch of each pass, and the batches of a pass are disjoint
        return dp.SelfComposedDpEvent(dp.GaussianDpEvent(z), math.ceil(round(steps * rate, 9)))
    if sampling == "poisson":
        return dp.SelfComposedDpEvent(dp.PoissonSampledDpEvent(rate, dp.GaussianDpEvent(z)), int(steps))
    # One example in place of another moves the sum by twice the clipping norm.
    share = Fraction(rate).limit_denominator(10**9)
    one = dp.SampledWithoutReplacementDpEvent(share.denominator, share.numerator, dp.GaussianDpEvent(z / 2))
    return dp.SelfComposedDpEvent(one, int(steps))


def _accountant(sampling: str, name: str, orders: Sequence[float] | None = None) -> Any:
    dp = _library()
    relations = dp.NeighboringRelation
    relation = {"fixed": relations.REPLACE_ONE, "tree": relations.REPLACE_SPECIAL}
    relation = relation.get(sampling, relations.ADD_OR_REMOVE_ONE)
    if name == "pld":
        return dp.pld.PLDAccountant(relation)
    return dp.rdp.RdpAccountant(orders, relation)
