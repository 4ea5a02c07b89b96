"""An all-reduce among nodes of different bandwidth: who sums up how much of the vector."""

from __future__ import annotations

from typing import Any

import numpy as np

from jdl import checks
from jdl.theory import assumptions

__all__ = ["all_reduce_seconds", "all_reduce_shares"]


def all_reduce_shares(bandwidth: Any, trains: Any = True) -> np.ndarray:
    """The shares of a vector that nodes sum up, so that an all-reduce ends as early as it can.

    Node i is sent its share w_i of the vectors of all others, and sends the mean of this part back. The nodes that
    train have a vector each, m of them; the others only help to sum up. What node i sends, as what it receives, is

        load_i = trains_i (1 - w_i) + (m - trains_i) w_i

    vectors, its own parts and the means of its share. The shares minimise max_i load_i / bandwidth_i, a linear
    programme in (w, T): least T with load_i <= T bandwidth_i, w >= 0, sum_i w_i = 1. Equal nodes that train all have
    the share 1 / n, as in an all-reduce over a ring; one node of very high bandwidth has the share 1, a parameter
    server.

    Args:
      bandwidth: bits a second of each node, in each direction, f[n]; the slower of the two if they differ. A node of
        bandwidth 0 cannot be reached by others: its share is 0, and nobody waits for what it sends and receives itself.
      trains: bool[n], or one for all: which nodes have a vector of their own to be averaged, at least one.

    Returns:
      f[n], the shares, which add up to 1: of all that are as fast, those with the least max_i w_i / bandwidth_i.

    Raises:
      InputError: if a bandwidth is negative or not finite, or if all are 0, or if nobody trains.

    >>> all_reduce_shares([1e8, 2e8, 2e8, 4e8]).round(3) + 0.0
    array([0.  , 0.25, 0.25, 0.5 ])

    References:
      Diskin et al., "Distributed Deep Learning in Open Collaborations", NeurIPS 2021 (DeDLOC), section 3.2 (from
      memory: roles and parts by a programme of the bandwidths). Of the authors' library the programme was read that
      chooses parts: it is this one for nodes that all train, with load_i = 1 + (n - 2) w_i. It does not choose who
      trains; neither does this function.
    """
    rate, trains = _checked(bandwidth, trains)
    n, m = len(rate), trains.sum()
    reached = rate > 0
    own, slope = trains[reached], m - 2 * trains[reached]
    # Proportional shares take no longer than this, and no shares less than a quarter of it, if several nodes train: in
    # this unit of time the numbers of the programme are of the order of one.
    unit = np.max(own / rate[reached]) + m / rate.sum()
    room = unit * rate[reached]
    least = _solved(slope, -own, room)[-1]
    # Of the shares that are as fast, those nearest to proportional: least max_i w_i / bandwidth_i.
    most = least * room * (1 + 1e-9) - own
    found = _solved(np.ones(len(own)), np.zeros(len(own)), rate[reached] / rate.sum(), (slope, most))[:-1]
    # The solver is exact to 1e-7 of the vector, which would be much for the slowest nodes.
    found = np.where(slope > 0, np.minimum(found, np.maximum(most, 0) / np.maximum(slope, 1)), found)
    shares = np.zeros(n)
    shares[reached] = np.abs(np.clip(found, 0, 1))
    return shares / shares.sum()


def _solved(
    slope: np.ndarray, least: np.ndarray, room: np.ndarray, more: tuple[np.ndarray, np.ndarray] | None = None
) -> np.ndarray:
    """(w, T) of least T with slope w <= least + T room, w >= 0, sum w = 1; and, with more = (a, b), a w <= b."""
    from scipy.optimize import linprog  # slow to import

    one = np.append(np.ones(len(room)), 0)
    row = np.maximum(room, 1)
    left, right = np.column_stack([np.diag(slope / row), -room / row]), least / row
    if more:
        row = np.maximum(np.abs(more[1]), 1)
        further = np.column_stack([np.diag(more[0] / row), np.zeros(len(room))])
        left, right = np.concatenate([left, further]), np.concatenate([right, more[1] / row])
    solution = linprog(1 - one, left, right, one[None, :], [1.0], method="highs")
    given = f"got {len(room)} bandwidths on which the solver gives up ({solution.message})"
    checks.require(solution.success, f"{given}, need some that differ less; leave out the slowest nodes")
    return solution.x


def all_reduce_seconds(shares: Any, bits: float, bandwidth: Any, trains: Any = True, latency: float = 0.0) -> float:
    """The seconds of an all-reduce in which each node sums up a share of the vector: see `all_reduce_shares`.

    Both directions of all lines are busy from the start to the end, as large vectors sent piece by piece allow:

        seconds = max_i load_i bits / bandwidth_i + 2 latency,

    over the nodes that can be reached, with the load that `all_reduce_shares` defines.

    Args:
      shares: w, f[n], of at least 0, which add up to 1.
      bits: the size of the vector.
      bandwidth: bits a second of each node in each direction, f[n].
      trains: bool[n], or one for all: which nodes have a vector of their own.
      latency: seconds of a message, paid once on the way to those who sum up, and once on the way back.

    Raises:
      InputError: if the shares are negative or do not add up to 1, or if a node that cannot be reached has one.

    >>> all_reduce_seconds([0.25] * 4, bits=1e8, bandwidth=[1e8] * 4)
    1.5

    References:
      see `all_reduce_shares`.
    """
    rate, trains = _checked(bandwidth, trains)
    w, theorem = np.asarray(shares, float), "the time of an all-reduce"
    shape = f"got shares of shape {w.shape}, need ({len(rate)},), one for each node; see all_reduce_shares"
    checks.require(w.shape == rate.shape, shape)
    good = bool(np.all(w >= 0)) and abs(w.sum() - 1) < 1e-6 and bool(np.all(w[rate == 0] == 0))
    need = "need parts of at least 0 that add up to 1, and 0 for nodes of bandwidth 0"
    checks.require(good, f"got shares={w.tolist()}, {need}; take those of all_reduce_shares")
    bits = assumptions.constant(theorem, "bits", bits, strict=False)
    latency = assumptions.constant(theorem, "latency", latency, strict=False)
    load = trains * (1 - w) + (trains.sum() - trains) * w
    return float(np.max(load[rate > 0] * bits / rate[rate > 0]) + 2 * latency)


def _checked(bandwidth: Any, trains: Any) -> tuple[np.ndarray, np.ndarray]:
    """Bandwidths f[n], and who trains as numbers f[n]."""
    rate = np.asarray(bandwidth, float)
    good = rate.ndim == 1 and bool(np.all(np.isfinite(rate) & (rate >= 0))) and bool(np.any(rate > 0))
    need = "need a list of finite bits a second of at least 0, not all of them 0; try [1e8, 1e8, 1e9]"
    checks.require(good, f"got bandwidth={bandwidth!r}, {need}")
    who = np.asarray(trains)
    shape = f"got trains of shape {who.shape} and type {who.dtype}, need bool[{len(rate)}], or True; correct it"
    checks.require(who.dtype == bool and who.shape in ((), rate.shape), shape)
    who = np.broadcast_to(who, rate.shape).astype(float)
    checks.require(bool(np.any(who)), "got nobody that trains, need at least one node with a vector; correct `trains`")
    return rate, who
