"""The likelihood-ratio attack on a run: its models among those of runs on other halves of the examples."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jdl import checks, privacy
from jdl.runs.audit import Attacked, losses_of, scored
from jdl.runs.result import Result
from jdl.types import Problem

__all__ = ["lira"]


def lira(
    results: Sequence[Result],
    problem: Problem,
    variant: str = "online",
    fixed_variance: bool = False,
    targets: int = 2,
) -> Attacked:
    """How well an attacker with shadow models tells which examples of node i the model of node j was trained on.

    The results are those of one run with several seeds on `privacy.halves(problem)`. The first of them are attacked, in
    turn; the others are the shadow models, except for the one with the complement of the attacked half, so that every
    example is in half of the shadow models. The candidates are all examples of node i in `problem`: members are in its
    half, strangers are not. The shadow model of an observer j is that of the same node of another run.

    Args:
      results: at least six results, whose seeds come in pairs 2 s, 2 s + 1.
      problem: the problem before examples were left out, whose loss is a cross-entropy.
      variant: "online", "offline" or "threshold", see `privacy.lira_scores`.
      fixed_variance: see `privacy.lira_scores`; better where there are fewer than some 64 shadow models.
      targets: how many results are attacked; their scores share the curves.

    Returns:
      The numbers of the attack of victims i and models j, f[n, m] each.

    Raises:
      InputError: if seeds do not come in pairs, if problem and results do not fit, or if a part is not known.

    References:
      Carlini, Chien, Nasr, Song, Terzis, Tramer 2022, Membership Inference Attacks From First Principles.
    """
    checks.known("variant", variant, privacy.LIRA)
    targets = checks.whole("targets", targets, 1)
    seeds = [one.seed for one in results]
    paired = None not in seeds and all(seed ^ 1 in seeds for seed in seeds)
    do = "try seeds=16 on jdl.privacy.halves(problem)"
    got = f"got results of the seeds {seeds}"
    checks.require(paired and len(seeds) >= 6, f"{got}, need three pairs 2 s, 2 s + 1 or more; {do}")
    checks.require(targets <= len(seeds), f"got targets={targets} of {len(seeds)} results, need at most all; {do}")
    inside = np.stack([_inside(one.simulation.problem, problem) for one in results])  # bool[S, n, k]
    stacked = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *(one.models for one in results))
    losses, real = losses_of(stacked, problem)
    # f[S, m, n, k]
    confidences = privacy.log_odds(losses.reshape(len(seeds), -1, *losses.shape[1:]))
    spare = lambda t: np.array([seed // 2 != seeds[t] // 2 for seed in seeds])

    def of_target(t: int, i: int, j: int) -> tuple[np.ndarray, np.ndarray]:
        rows, phi, within = spare(t), confidences[:, j, i, real[i]], inside[:, i, real[i]]
        scores = privacy.lira_scores(phi[t], phi[rows], within[rows], variant, fixed_variance)
        return scores[within[t]], scores[~within[t]]

    def pair(i: int, j: int) -> tuple[np.ndarray, np.ndarray]:
        if not real[i].any():
            return np.zeros(0), np.zeros(0)
        members, strangers = zip(*(of_target(t, i, j) for t in range(targets)), strict=True)
        return np.concatenate(members), np.concatenate(strangers)

    return scored((problem.n, confidences.shape[1]), pair)


def _inside(half: Problem, problem: Problem) -> np.ndarray:
    """Which examples of the table of a problem a half of it has, bool[n, k]."""
    rows, width = np.asarray(problem.indices), np.asarray(half.indices).shape[1]
    got = "got results on other data than those of the problem"
    do = "need a run on jdl.privacy.halves(problem); give the problem that was halved"
    checks.require(len(rows) == half.n, f"{got}, {do}")
    kept = np.asarray(half.indices), np.arange(width) < np.asarray(half.num_examples)[:, None]
    found = np.stack([np.isin(row, one[real]) for row, one, real in zip(rows, *kept, strict=True)])
    found &= np.arange(rows.shape[1]) < np.asarray(problem.num_examples)[:, None]
    halved = np.abs(2 * found.sum(axis=1) - np.asarray(problem.num_examples)) <= 1
    checks.require(bool(np.all(halved & (found.sum(axis=1) == np.asarray(half.num_examples)))), f"{got}, {do}")
    return found
