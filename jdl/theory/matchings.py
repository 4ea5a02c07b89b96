"""How long a round over random matchings takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from jdl import checks
from jdl.schedule import Matcha

__all__ = ["matcha_seconds"]


def matcha_seconds(schedule: Matcha, compute: Any = 0.1, latency: Any = 0.01) -> float:
    """The mean seconds of a round of MATCHA in which all nodes wait for the slowest link that is used.

    Matching j is used with probability p_j and takes d_j, the greatest s_sender + latency of its links, or the greatest
    s of all nodes if that is more. Rounds are independent; with d_1 >= d_2 >= ...,

        E = sum_j d_j p_j prod_{i < j} (1 - p_i) + max s prod_i (1 - p_i).

    Nodes that wait for their own neighbours alone, as in `jdl.clock`, are at least as fast in the long run. Over a
    complete graph each matching has a slow link; over fast links alone E is smaller, which may make up for rounds that
    mix less.

    Args:
      schedule: `Matcha.of` a graph: that of the lines between places (MATCHA), or of all pairs (MATCHA+).
      compute: s, the seconds in which a node computes in a round, f[] or f[n], at least 0.
      latency: the seconds from the end of the steps of the sender to the arrival, f[], or f[n, n] from sender (column)
        to receiver (row), at least 0.

    Raises:
      InputError: if times have another shape, or are negative or not finite.

    >>> from jdl.topology import ring
    >>> matcha_seconds(Matcha.of(ring(4), budget=1.0), compute=1.0, latency=0.5)
    1.5

    References:
      Marfoq, Xu, Neglia, Vidal, "Throughput-Optimal Topology Design for Cross-Silo Federated Learning", NeurIPS 2020
      (MATCHA and MATCHA+). Of the authors' code, as another repository has it, the time of a round was read: the mean
      over drawn rounds of the slowest link, which is computed here without draws. There nodes share their lines among
      their links of a round, and MATCHA+ is MATCHA over all pairs (the paper was not read).
    """
    n = schedule.n
    seconds, delay = np.asarray(compute, float), np.asarray(latency, float)
    good = seconds.shape in ((), (n,)) and delay.shape in ((), (n, n))
    got = f"got compute of shape {seconds.shape} and latency of shape {delay.shape}"
    checks.require(good, f"{got}, need one number, or [{n}] and [{n}, {n}]; try compute=0.1, latency=0.01")
    finite = all(np.all(np.isfinite(times) & (times >= 0)) for times in (seconds, delay))
    checks.require(bool(finite), "got times that are negative or not finite, need seconds of at least 0; correct them")
    partners, p = np.asarray(schedule.partners), np.asarray(schedule.probabilities, float)
    own = np.arange(n)[:, None]
    slowest = float(seconds.max())
    arrival = np.broadcast_to(seconds, n)[partners] + np.broadcast_to(delay, (n, n))[own, partners]
    takes = np.maximum(np.where(partners == own, 0, arrival).max(axis=0), slowest)
    order = np.argsort(-takes)
    none = np.cumprod(np.append(1, 1 - p[order]))  # no slower matching is used
    return float(np.sum(takes[order] * p[order] * none[:-1]) + slowest * none[-1])
