"""How long a round takes in the long run: cycle means, all-reduce over a ring, and the fastest of several workers."""

from __future__ import annotations

from typing import Any

import numpy as np

from jdl import checks
from jdl.theory import assumptions
from jdl.topology import forms
from jdl.topology.topology import Topology

__all__ = ["cycle_time", "kth_of_exponentials", "maximum_cycle_mean", "ring_all_reduce_seconds"]


def cycle_time(topology: Topology, compute: Any = 0.1, latency: Any = 0.01) -> float:
    """The seconds of a round over a fixed graph in the long run, where messages follow the steps of a round.

    Node i ends a round when it has computed and what its neighbours computed is there,

        c_i <- max(c_i + s_i,  max over senders j of c_j + s_j + latency_ij),

    a product with a matrix in the (max, +) algebra. After many rounds each costs as much as the greatest mean of a
    cycle of that matrix, loops of single nodes included: one slow node, or one slow pair of links, delays everybody
    that hears of it. Where a message takes time beside the latency, as on a line of finite bandwidth, `latency` holds
    the sum.

    Args:
      topology: one topology; any weights.
      compute: s, the seconds in which a node computes in a round, f[] or f[n], at least 0.
      latency: the seconds from the end of the steps of the sender to the arrival, f[], or f[n, n] from sender (column)
        to receiver (row), as in the links of `jdl.clock`, at least 0.

    Raises:
      InputError: if times have another shape, or are negative or not finite.

    >>> from jdl.topology import ring
    >>> cycle_time(ring(8), compute=[1, 1, 1, 1, 1, 1, 1, 9.0], latency=0.5)
    9.0
    >>> cycle_time(ring(8), compute=1.0, latency=0.5)
    1.5

    References:
      Baccelli, Cohen, Olsder, Quadrat, "Synchronization and Linearity", 1992, chapter 3 (the cycle time is the greatest
      cycle mean).
      Marfoq, Xu, Neglia, Vidal, "Throughput-Optimal Topology Design for Cross-Silo Federated Learning", NeurIPS 2020,
      section 2.
    """
    n = assumptions.one_graph("the cycle time", topology).n
    seconds, delay = np.asarray(compute, float), np.asarray(latency, float)
    good = seconds.shape in ((), (n,)) and delay.shape in ((), (n, n))
    got = f"got compute of shape {seconds.shape} and latency of shape {delay.shape}"
    checks.require(good, f"{got}, need one number, or [{n}] and [{n}, {n}]; try compute=0.1, latency=0.01")
    finite = all(np.all(np.isfinite(times) & (times >= 0)) for times in (seconds, delay))
    checks.require(finite, "got times that are negative or not finite, need seconds of at least 0; correct them")
    links = forms.off_diagonal(topology.weights).tocoo()
    senders, receivers = (np.concatenate([ends, np.arange(n)]) for ends in (links.col, links.row))
    travel = np.broadcast_to(delay, (n, n))[receivers, senders]
    weights = np.broadcast_to(seconds, (n,))[senders] + np.where(senders == receivers, 0, travel)
    return maximum_cycle_mean(senders, receivers, weights, n)


def maximum_cycle_mean(senders: np.ndarray, receivers: np.ndarray, weights: np.ndarray, n: int) -> float:
    """The greatest mean weight of a cycle of a directed graph, by Karp's algorithm; -inf if there is no cycle.

    With D_k(v) the greatest weight of a walk of k links that ends in v, from any node,

        mean = max over v of min over k < n of (D_n(v) - D_k(v)) / (n - k).

    It takes time n e and memory n^2.

    Args:
      senders: int[e], where each link starts.
      receivers: int[e], where it ends.
      weights: f[e].
      n: number of nodes.

    >>> maximum_cycle_mean(np.array([0, 1, 1]), np.array([1, 0, 1]), np.array([1.0, 4.0, 2.0]), 2)
    2.5

    References:
      Karp, "A characterization of the minimum cycle mean in a digraph", Discrete Mathematics 23, 1978, theorem 1 (here
      for the maximum, and from all nodes at once, as if a further node had a link to each).
    """
    checks.fits(16 * n * n, f"walks between n={n:,} nodes")
    walks = np.full((n + 1, n), -np.inf)
    walks[0] = 0
    for k in range(n):
        np.maximum.at(walks[k + 1], receivers, walks[k][senders] + weights)
    ends = np.isfinite(walks[n])
    if not ends.any():
        return -np.inf
    means = (walks[n, ends] - walks[:n, ends]) / (n - np.arange(n))[:, None]
    return float(np.max(np.min(means, axis=0)))


def ring_all_reduce_seconds(n: int, bits: float, rate: float, latency: float = 0.0) -> float:
    """The seconds in which n nodes average vectors exactly over a ring, each sending and receiving at the same time.

    Each node cuts its vector into n parts; n - 1 turns add them up around the ring, and n - 1 turns hand the sums on:

        seconds = 2 (n - 1) (bits / (n rate) + latency).

    It is the reference of data-parallel training: the traffic of a node hardly depends on n, the latency grows with n.

    Args:
      n: number of nodes, at least 1.
      bits: the size of a vector, at least 0.
      rate: bits a second of each link, more than 0.
      latency: seconds that a part needs beside its transfer, at least 0.

    Raises:
      InputError: if a number is out of its range.

    >>> ring_all_reduce_seconds(4, bits=8e6, rate=1e6, latency=0.5)
    15.0

    References:
      Patarasuk, Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", Journal of Parallel and
      Distributed Computing 69, 2009.
    """
    n, theorem = checks.whole("n", n, 1), "the time of an all-reduce over a ring"
    bits = assumptions.constant(theorem, "bits", bits, strict=False)
    rate = assumptions.constant(theorem, "rate", rate)
    latency = assumptions.constant(theorem, "latency", latency, strict=False)
    return 2 * (n - 1) * (bits / (n * rate) + latency)


def kth_of_exponentials(k: int, n: int, mean: float = 1.0) -> float:
    """The expected second at which the k-th of n workers is done, with independent exponential times.

    The time from one end to the next is exponential with the mean divided by the number of those that still work, so

        E = mean (H_n - H_{n-k}),    H_m = 1 + 1/2 + ... + 1/m.

    A server that has n - k backup workers waits for that long: see `jdl.clock.First`.

    Args:
      k: how many are waited for, from 0 to n.
      n: number of workers.
      mean: their mean time in seconds, at least 0.

    Raises:
      InputError: if k is not between 0 and n, or the mean is negative.

    >>> kth_of_exponentials(1, 4, mean=2.0), round(kth_of_exponentials(4, 4), 4)
    (0.5, 2.0833)

    References:
      Renyi, "On the theory of order statistics", Acta Mathematica Hungarica 4, 1953 (independent spacings).
    """
    n, k = checks.whole("n", n, 1), checks.whole("k", k, 0)
    checks.require(k <= n, f"got k={k} of n={n} workers, need at most n; try k={n}")
    mean = assumptions.constant("the time of the k-th worker", "mean", mean, strict=False)
    return mean * float(np.sum(1 / np.arange(n - k + 1, n + 1)))
