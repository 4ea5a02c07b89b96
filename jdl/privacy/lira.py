"""The likelihood-ratio attack on membership: how surprising is a confidence, next to models with and without it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from jdl import checks

__all__ = ["LIRA", "halves", "lira_scores", "log_odds"]

# What is compared: "online" Gaussians of models with and without an example; "offline" the Gaussian of those without;
# "threshold" no models: the confidence itself, with one threshold for all examples.
LIRA = ("online", "offline", "threshold")
NARROWEST = 1e-30  # the least standard deviation


def log_odds(losses: np.ndarray) -> np.ndarray:
    """The confidence log(p / (1 - p)) of each example from its cross-entropy -log p.

    Losses below the resolution of their type, where p is 1 in this type, are taken as this resolution, and those of a p
    below 1e-45 as that of 1e-45, so that confidences are finite.

    Args:
      losses: f[...], cross-entropies; a missing one, NaN, is taken as infinite.

    >>> log_odds(np.log([2.0, 4.0])).round(4).tolist()
    [0.0, -1.0986]
    """
    losses = np.asarray(losses)
    least, most = np.finfo(losses.dtype).eps / 2, -np.log(1e-45)
    losses = np.clip(np.nan_to_num(losses.astype(float), nan=most), least, most)
    # log(p / (1 - p)) = -loss - log(1 - exp(-loss))
    return -losses - np.log(-np.expm1(-losses))


def lira_scores(
    confidences: np.ndarray,
    shadows: np.ndarray,
    inside: np.ndarray,
    variant: str = "online",
    fixed_variance: bool = False,
) -> np.ndarray:
    """The score of each candidate: the larger it is, the likelier the attacked model was trained on the candidate.

    The confidences of shadow models that were trained on a candidate, and of those that were not, get a Gaussian each:
    its mean is their median, as in the code of the paper, and its standard deviation theirs. The score is

      online: log N(phi; in) - log N(phi; out),
      offline: (phi - mean_out) / std_out, which orders candidates as the paper's one-sided 1 - Pr[Z > phi] does (its
        code has the two-sided -log N(phi; out)),
      threshold: phi.

    Args:
      confidences: phi, f[...], of the attacked model, see `log_odds`.
      shadows: f[S, ...], of the S shadow models.
      inside: bool[S, ...], whether a shadow model was trained on the candidate.
      variant: one of `LIRA`.
      fixed_variance: whether all candidates share the variances, the means over candidates of their own: for few shadow
        models.

    Raises:
      InputError: if a candidate has fewer than two shadow models of a kind that is needed.

    References:
      Carlini, Chien, Nasr, Song, Terzis, Tramer 2022, Membership Inference Attacks From First Principles (read
      with the authors' code, research/mi_lira_2021 of TensorFlow Privacy).

    >>> lira_scores(np.array([1.0]), np.array([[0.0], [2.0], [1.0], [3.0]]), np.array([[1], [1], [0], [0]]) == 1)
    array([0.5])
    """
    checks.known("variant", variant, LIRA)
    phi = np.asarray(confidences, float)
    if variant == "threshold":
        return phi
    outside = _gaussian(shadows, ~np.asarray(inside, bool), fixed_variance, "without")
    if variant == "offline":
        return (phi - outside[0]) / outside[1]
    within = _gaussian(shadows, np.asarray(inside, bool), fixed_variance, "with")
    return _log_density(phi, *within) - _log_density(phi, *outside)


def halves(problem: Any) -> Callable[..., Any]:
    """The problem as a function of a seed, in which each node trains on a random half of its examples.

    `jdl.run(privacy.halves(problem), ..., seeds=32)` trains the models of an attack as one program, and
    `results.lira(problem)` attacks them. Seeds 2 s and 2 s + 1 have complementary halves, so that of an even number of
    seeds from an even one on each example is in exactly half.

    Args:
      problem: a problem whose nodes hold rows of a table, such as `jdl.problems.digits`.

    Raises:
      InputError: if the problem has no such table.
    """
    has = all(hasattr(problem, name) for name in ("indices", "num_examples", "replace"))
    got = f"got the problem {type(problem).__name__}, which has no table of examples"
    checks.require(has, f"{got}, need one to leave examples out of; try jdl.problems.digits")
    return functools.partial(_half, problem)


def _half(problem: Any, seed: int) -> Any:
    """The problem in which each node has the half of its examples that a seed names."""
    rows, counts = np.asarray(problem.indices), np.asarray(problem.num_examples)
    rng = np.random.default_rng([seed // 2, 2])
    kept, sizes = np.zeros_like(rows), np.zeros_like(counts)
    for i, count in enumerate(counts):
        order = rng.permutation(count)
        places = np.sort(order[: count // 2] if seed % 2 == 0 else order[count // 2 :])
        kept[i, : len(places)], sizes[i] = rows[i, places], len(places)
    like = lambda new, old: old.at[...].set(new)
    return problem.replace(indices=like(kept, problem.indices), num_examples=like(sizes, problem.num_examples))


def _gaussian(shadows: np.ndarray, which: np.ndarray, fixed: bool, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """The median and the standard deviation of the confidences of some shadow models, f[...] each."""
    which = np.broadcast_to(which, np.shape(shadows))
    fewest = int(which.sum(axis=0).min(initial=len(which)))
    few = f"got a candidate with {fewest} shadow models {kind} it, need at least 2; try more seeds, an even number"
    checks.require(fewest >= 2, few)
    chosen = np.where(which, np.asarray(shadows, float), np.nan)
    variance = np.nanvar(chosen, axis=0)
    variance = np.full_like(variance, variance.mean()) if fixed else variance
    return np.nanmedian(chosen, axis=0), np.maximum(np.sqrt(variance), NARROWEST)


def _log_density(x: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    return -0.5 * ((x - mean) / std) ** 2 - np.log(std) - 0.5 * np.log(2 * np.pi)
