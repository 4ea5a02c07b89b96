"""Which nodes compute gradients, and which only help to average them, so that training is fastest."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from jdl import checks
from jdl.theory import assumptions
from jdl.theory.shares import all_reduce_seconds, all_reduce_shares

__all__ = ["TrainingRoles", "training_roles"]

MOST = 12  # all sets of them may be looked at


class TrainingRoles(NamedTuple):
    """Who does what.

    Attributes:
      trains: bool[n], which nodes compute gradients.
      shares: f[n], which part of the vector each sums up.
      steps_per_second: how many steps that makes a second.
    """

    trains: np.ndarray
    shares: np.ndarray
    steps_per_second: float


def training_roles(speed: Any, bandwidth: Any, batch: float, bits: float, overlap: bool = True) -> TrainingRoles:
    """The set of nodes that train, and the shares of the all-reduce, with the most steps a second.

    Nodes that train share a batch by their speeds, and then average their gradients, with the help of all:

        steps a second = min(sum of their speeds / batch, 1 / all-reduce),

    where a step is averaged while the next one is computed, and 1 / (batch / sum of their speeds + all-reduce) without
    overlap. The all-reduce is that of `all_reduce_shares`: each node that trains makes it longer, by a vector of its
    own, so that a slow node on a slow line is better left out, and a fast line without a fast processor is best used to
    sum up only. The best set is found among all 2^n, but for those that no all-reduce could make the best.

    Args:
      speed: examples a second of each node, f[n], at least 0; nodes of speed 0 do not train. n is at most 12.
      bandwidth: bits a second of each node in each direction, f[n], more than 0.
      batch: examples of a step, more than 0.
      bits: the size of a gradient, more than 0.
      overlap: whether gradients are averaged while those of the next step are computed.

    Raises:
      InputError: if there are too many nodes, if lists are of different lengths, or if no node can train.

    >>> roles = training_roles([100, 100, 1, 0], [1e8, 1e8, 1e6, 1e9], batch=1000, bits=1e8)
    >>> roles.trains.tolist(), round(roles.steps_per_second, 3)
    ([True, True, False, False], 0.2)

    References:
      Diskin et al., "Distributed Deep Learning in Open Collaborations", NeurIPS 2021 (DeDLOC), section 3.2 (from
      memory: the least of both throughputs, with a variable for each node that says whether it computes).
    """
    speed, theorem = np.asarray(speed, float), "the choice of roles"
    rate = np.asarray(bandwidth, float)
    n = len(speed) if speed.ndim == 1 else 0
    fits = 1 <= n <= MOST and rate.shape == speed.shape
    given = f"got speed of shape {speed.shape} and bandwidth of shape {rate.shape}"
    checks.require(fits, f"{given}, need one of each for 1 to {MOST} nodes; take nodes that are alike as one")
    good = bool(np.all(np.isfinite(speed) & (speed >= 0)) and np.all(np.isfinite(rate) & (rate > 0)) and speed.any())
    checks.require(good, "got speeds that are negative or all 0, or bandwidths not above 0, need finite ones; correct")
    batch, bits = assumptions.constant(theorem, "batch", batch), assumptions.constant(theorem, "bits", bits)
    able = np.flatnonzero(speed > 0)
    sets = (np.arange(1, 2 ** len(able))[:, None] >> np.arange(len(able))) & 1 == 1
    compute = sets @ speed[able] / batch  # steps a second, if averages took no time
    best = TrainingRoles(np.zeros(n, bool), np.zeros(n), 0.0)
    for place in np.argsort(-compute, kind="stable"):
        if compute[place] <= best.steps_per_second:
            break
        trains = np.zeros(n, bool)
        trains[able[sets[place]]] = True
        shares = all_reduce_shares(rate, trains)
        seconds = all_reduce_seconds(shares, bits, rate, trains)
        slower = max(1 / compute[place], seconds) if overlap else 1 / compute[place] + seconds
        if 1 / slower > best.steps_per_second * (1 + 1e-6):  # the solver is no more exact than that
            best = TrainingRoles(trains, shares, float(1 / slower))
    return best
