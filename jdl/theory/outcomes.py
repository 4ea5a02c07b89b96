"""Random schedules: all W that a round may have, and what follows from them by enumeration."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jdl import checks
from jdl.schedule import Equidyn, Fixed, Matcha, Matching, Pairwise
from jdl.topology.spectrum.neighbours import EffectiveNeighbours, neighbours_of
from jdl.topology.spectrum.sampled import weights_of

__all__ = ["Outcome", "contraction_of_outcomes", "effective_neighbours_of_outcomes", "outcomes"]

MOST_OUTCOMES = 20_000
MOST_NODES = 400  # the iteration multiplies matrices [n, n], one for each outcome


class Outcome(NamedTuple):
    """One W that a random round may have, `float[n, n]`, with its probability."""

    probability: float
    W: np.ndarray


def outcomes(schedule: Any) -> list[Outcome]:
    """All W that an independent random round of a schedule may have, with their probabilities.

    Args:
      schedule: `Fixed`, `Matching`, `Pairwise`, `Matcha` or `Equidyn` with directed links, of at most 20,000 outcomes.

    Raises:
      InputError: if there are too many outcomes, or the outcomes of this schedule are not known or not independent.

    >>> from jdl.schedule import Matching
    >>> len(outcomes(Matching(6))), round(sum(p for p, _ in outcomes(Matching(6))), 6)
    (15, 1.0)
    """
    match schedule:
        case Fixed():
            return [Outcome(1.0, weights_of(schedule.plan).toarray())]
        case Matching(n=n):
            _few(float(np.prod(np.arange(n - 1 + n % 2, 0, -2, dtype=float))))
            found = [_paired(n, pairs) for pairs in _matchings(tuple(range(n)))]
        case Pairwise(n=n):
            pairs = itertools.combinations(range(n), 2) if schedule.edges is None else np.asarray(schedule.edges)
            found = [_paired(n, [pair]) for pair in pairs] if n > 1 else [np.eye(1)]
        case Matcha():
            return _switched(schedule)
        case Equidyn(directed=True, n=n):
            share = float(schedule.eta) * (n - 1) / n
            found = [(1 - share) * np.eye(n) + share * np.roll(np.eye(n), s, 1) for s in np.asarray(schedule.shifts)]
        case _:
            name = type(schedule).__name__
            listed = "Fixed, Matching, Pairwise, Matcha and a directed Equidyn"
            do = "take jdl.topology.sample_rounds, and give each round the probability 1 / rounds"
            raise checks.InputError(f"got the schedule {name}, all outcomes of a round are known for {listed}; {do}")
    return [Outcome(1 / len(found), W) for W in found]


def contraction_of_outcomes(found: Sequence[Outcome]) -> float:
    """The root of ||E[W' (I - J) W]||_2 by enumeration: the factor of a random round on disagreement.

    For W whose rows sum to one; disagreement is the distance to the mean of the nodes in that round.

    Args:
      found: all outcomes, see `outcomes`; or sampled rounds with equal probabilities.

    Raises:
      InputError: if probabilities do not sum to one, or the rows of some W do not.

    References:
      Boyd, Ghosh, Prabhakar, Shah, "Randomized gossip algorithms", IEEE Transactions on Information Theory 52, 2006.
    """
    n = _checked(found)
    centre = np.eye(n) - 1 / n
    moment = sum(p * (W.T @ centre @ W) for p, W in found)
    return float(np.sqrt(np.linalg.norm(moment, 2)))


def effective_neighbours_of_outcomes(found: Sequence[Outcome], gamma: float) -> EffectiveNeighbours:
    """`jdl.topology.effective_neighbours` of a random schedule, exactly: S = E[W (gamma S + I) W'] over all outcomes.

    Args:
      found: all outcomes, see `outcomes`.
      gamma: decay of a node's former value, from 0 to below 1.

    Raises:
      InputError: if gamma is out of range, if probabilities or rows do not sum to one, or for more than 400 nodes.

    >>> from jdl.schedule import Matching
    >>> round(effective_neighbours_of_outcomes(outcomes(Matching(6)), gamma=0.9).mean, 3)
    4.571

    References:
      Vogels, Hendrikx, Jaggi, "Beyond spectral gap: The role of the topology in decentralized learning", NeurIPS 2022
      (the definition, here with the expectation over W).
    """
    n = _checked(found)
    good = isinstance(gamma, int | float) and 0 <= gamma < 1
    checks.require(good, f"got gamma={gamma!r}, need a number from 0 to less than 1; try gamma=0.95")
    checks.require(n <= MOST_NODES, f"got n={n}, all outcomes need n of at most {MOST_NODES}; sample rounds instead")
    S = np.eye(n)
    while True:
        new = sum(p * (W @ (gamma * S + np.eye(n)) @ W.T) for p, W in found)
        if np.abs(new - S).max() <= 1e-14 * np.abs(new).max() / (1 - gamma):
            return neighbours_of(new.diagonal(), gamma)
        S = new


def _checked(found: Sequence[Outcome]) -> int:
    good = isinstance(found, list | tuple) and all(isinstance(one, tuple) and len(one) == 2 for one in found)
    pairs = f"got {type(found).__name__}, need a list of outcomes (probability, W); give outcomes(schedule)"
    checks.require(good, pairs)
    checks.require(len(found) > 0, "got no outcomes, an expectation needs one at least; see outcomes(schedule)")
    total = sum(p for p, _ in found)
    need = f"got probabilities that sum to {total:.6g}, need 1; divide them by their sum"
    checks.require(abs(total - 1) < 1e-9, need)
    rows = max(float(np.abs(W.sum(axis=1) - 1).max()) for _, W in found)
    sums = f"got a W whose rows sum to one only up to {rows:.1g}, need rows that sum to one; see push_sum"
    checks.require(rows < 1e-5, sums)
    return len(found[0].W)


def _few(count: float) -> None:
    need = (
        f"got a schedule of {count:.3g} outcomes, need at most {MOST_OUTCOMES}; use random_contraction, or fewer nodes"
    )
    checks.require(count <= MOST_OUTCOMES, need)


def _paired(n: int, pairs: Any) -> np.ndarray:
    W = np.eye(n)
    for i, j in pairs:
        W[[i, i, j, j], [i, j, i, j]] = 0.5
    return W


def _matchings(nodes: tuple[int, ...]) -> list[list[tuple[int, int]]]:
    """All matchings that leave out nobody, or one node if their number is odd."""
    if len(nodes) < 2:
        return [[]]
    first, rest = nodes[0], nodes[1:]
    found = [
        [(first, other), *more]
        for place, other in enumerate(rest)
        for more in _matchings(rest[:place] + rest[place + 1 :])
    ]
    return found + (_matchings(rest) if len(nodes) % 2 else [])


def _switched(schedule: Matcha) -> list[Outcome]:
    partners, n = np.asarray(schedule.partners).T, schedule.n
    chances, alpha = np.asarray(schedule.probabilities, np.float64), float(schedule.alpha)
    _few(2.0 ** len(partners))
    laplacians = [np.eye(n) - np.eye(n)[partner] for partner in partners]
    found = []
    for on in itertools.product((0, 1), repeat=len(partners)):
        probability = float(np.prod([p if used else 1 - p for p, used in zip(chances, on, strict=True)]))
        total = sum((L for L, used in zip(laplacians, on, strict=True) if used), start=np.zeros((n, n)))
        found.append(Outcome(probability, np.eye(n) - alpha * total))
    return found
