"""The curve of an attack that gives each candidate a score, and what is read from it."""

from __future__ import annotations

import numpy as np

from jdl import checks

__all__ = ["area", "roc", "true_rate"]


def roc(members: np.ndarray, strangers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ROC curve of an attack that takes for members those whose score is at least a threshold.

    Args:
      members: the scores of members, f[a]; a score that is NaN is the lowest of all.
      strangers: the scores of others, f[b].

    Returns:
      The false-positive rates and the true-positive rates f[t] of all thresholds, from (0, 0) to (1, 1).

    Raises:
      InputError: if there are no members or no strangers.

    >>> [rates.tolist() for rates in roc(np.array([3.0, 1.0]), np.array([2.0, 1.0]))]
    [[0.0, 0.0, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0]]
    """
    found = [np.sort(np.where(np.isnan(x), -np.inf, x)) for x in (np.ravel(members), np.ravel(strangers))]
    sizes = [len(one) for one in found]
    checks.require(min(sizes) > 0, f"got {sizes[0]} members and {sizes[1]} strangers, need at least one of each")
    thresholds = np.unique(np.concatenate(found))[::-1]
    true, false = (np.append(0, 1 - np.searchsorted(one, thresholds) / len(one)) for one in found)
    return false, true


def area(members: np.ndarray, strangers: np.ndarray) -> float:
    """The area under the ROC curve: the share of pairs whose member has the larger score, and half of the ties.

    Args:
      members: as in `roc`.
      strangers: as in `roc`.

    >>> area(np.array([3.0, 1.0]), np.array([2.0, 1.0]))
    0.625
    """
    return float(np.trapezoid(*reversed(roc(members, strangers))))


def true_rate(members: np.ndarray, strangers: np.ndarray, false_rate: float) -> float:
    """The true-positive rate of the lowest threshold that takes at most a share of the strangers for members.

    With fewer than 1 / false_rate strangers no stranger may be taken for a member.

    Args:
      members: as in `roc`.
      strangers: as in `roc`.
      false_rate: the share of strangers, 0 to 1.

    References:
      Carlini, Chien, Nasr, Song, Terzis, Tramer 2022, Membership Inference Attacks From First Principles (why
      attacks are compared at low false-positive rates).

    >>> true_rate(np.array([3.0, 1.0]), np.array([2.0, 1.0]), 0.1)
    0.5
    """
    false, true = roc(members, strangers)
    return float(true[false <= false_rate].max())
