"""A mixture of experts whose nodes fail: with which weights those that live are averaged, in expectation."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from jdl import checks

__all__ = ["LiveExperts", "live_experts"]

MOST = 20  # all subsets of them are looked at


class LiveExperts(NamedTuple):
    """What is left of a mixture of experts that fail.

    Attributes:
      weights: f[k], the expected weight of each expert, 0 where it fails. Their sum is 1 - `none`.
      none: the probability that no expert lives, and the output is 0.
    """

    weights: np.ndarray
    none: float


def live_experts(gates: Any, fail: Any = 0.1) -> LiveExperts:
    """The expected weights of experts, each on a node that fails with some probability, independently of the others.

    The output is the mean over the experts that live, with their gates made to sum to one again:

        y = sum over live i of gate_i / (sum over live j of gate_j) expert_i(x),   0 where none lives.

    It is linear in what the experts say, so that E y = sum_i weight_i expert_i(x) with

        weight_i = sum over sets S that contain i of P(S lives) gate_i / gate(S),

    which is summed up over all 2^k sets. Equal gates have equal weights, (1 - fail^k) / k. Unequal ones do not keep
    their proportions: the weight of a small gate grows, since it stands in for the large ones where they fail.

    Args:
      gates: f[k], the weights of the experts that were chosen, above 0, of any sum; k is at most 20. They may
        be those of a softmax over scores: to renormalise them is to leave the experts that failed out of the softmax.
      fail: probability that an expert does not answer, 0 to 1, f[] or f[k].

    Raises:
      InputError: if a gate is not positive, a probability not between 0 and 1, or there are too many experts.

    >>> live_experts([1, 1], fail=0.5)
    LiveExperts(weights=array([0.375, 0.375]), none=0.25)

    References:
      Ryabinin, Gusev, "Towards Crowdsourced Training of Large Neural Networks using Decentralized Mixture-of-Experts",
      NeurIPS 2020 (Learning@home), section 3 (from memory: experts that do not answer are left out of the mean).
    """
    gates = np.asarray(gates, float)
    need = f"got gates of shape {gates.shape}, need one for each of 1 to {MOST} experts; give those that were chosen"
    checks.require(gates.ndim == 1 and 1 <= len(gates) <= MOST, need)
    good = bool(np.all(np.isfinite(gates) & (gates > 0)))
    checks.require(good, f"got gates={gates.tolist()}, need finite numbers above 0; leave out the others")
    k, p = len(gates), np.asarray(fail, float)
    shape = f"got fail of shape {p.shape}, need one number, or one for each of {k} experts; try fail=0.1"
    checks.require(p.shape in ((), (k,)), shape)
    within = bool(np.all((p >= 0) & (p <= 1)))
    checks.require(within, f"got fail={p.tolist()}, need probabilities between 0 and 1; try fail=0.1")
    p = np.broadcast_to(p, k)
    chance, total = np.ones(1), np.zeros(1)  # of all sets of the experts so far
    for gate, q in zip(gates, p, strict=True):
        chance, total = np.concatenate([chance * q, chance * (1 - q)]), np.concatenate([total, total + gate])
    share = np.divide(chance, total, out=np.zeros_like(chance), where=total > 0)
    lives = [share.reshape(-1, 2, 2**i)[:, 1].sum() for i in range(k)]
    return LiveExperts(gates * lives, float(chance[0]))
