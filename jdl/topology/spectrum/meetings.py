"""Pairs that meet at random times: how often each edge is used, and how fast what nodes hold spreads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jdl import checks
from jdl.topology.topology import Topology

__all__ = ["MeetingConstants", "edge_rates", "meeting_constants"]


class MeetingConstants(NamedTuple):
    """Two constants of a graph whose edges are used at random times; both are in seconds.

    Attributes:
      chi1: 1 / lambda_2, the inverse of the algebraic connectivity of the rates. Disagreement decays in this time.
      chi2: half the largest effective resistance between the two ends of an edge. It is at most chi1.
    """

    chi1: float
    chi2: float


def meeting_constants(
    topology: Topology, meetings_per_second: float = 1.0, edge_rates: np.ndarray | None = None
) -> MeetingConstants:
    """The constants of accelerated gossip, see `MeetingConstants`, of a graph whose edges are used at random times.

    With the Laplacian Lambda = sum over edges of rate (e_i - e_j)(e_i - e_j)', chi1 = 1 / lambda_2(Lambda), and chi2 is
    half the largest (e_i - e_j)' Lambda^+ (e_i - e_j) over the edges that are used. Randomised gossip takes a time of
    order chi1, accelerated gossip one of order sqrt(chi1 chi2).

    Args:
      topology: an undirected, connected graph; its weights do not matter.
      meetings_per_second: how often a node meets another, in the mean over nodes; all edges are used alike.
      edge_rates: meetings per second of each row of `topology.edges`, f[e], in place of `meetings_per_second`.

    Raises:
      InputError: if W is not symmetric, if a rate is negative, or if the edges that are used connect not all nodes.

    >>> from jdl.topology import complete
    >>> chi1, chi2 = meeting_constants(complete(5))  # a rate of 1 / 4 on each edge
    >>> print(f"{chi1:.2f} {chi2:.2f}")
    0.80 0.80

    References:
      Nabli, Belilovsky, Oyallon 2023, A2CiD2: Accelerating Asynchronous Communication in Decentralized Deep Learning,
      and the public code of its authors (the factor of a half in chi2). Even et al. 2021, A Continuized View on
      Nesterov Acceleration for Stochastic Gradient Descent and Randomized Gossip (chi2 as a resistance).
    """
    rates, edges, n = edge_rates_of(topology, meetings_per_second, edge_rates), topology.edges, topology.n
    checks.fits(24 * n * n, f"the Laplacian of {topology.name} with n={n}")
    laplacian = np.zeros((n, n))
    np.add.at(laplacian, (edges[:, 0], edges[:, 1]), -rates)
    laplacian += laplacian.T
    laplacian -= np.diag(laplacian.sum(axis=1))
    values, vectors = np.linalg.eigh(laplacian)
    got = f"got {topology.name!r} with n={n}, whose edges that are used do not connect all nodes"
    connected = n > 1 and values[1] > 1e-12 * values[-1]
    checks.require(connected, f"{got}, need a connected graph of two nodes or more; add edges or rates")
    used = edges[rates > 0]
    scaled = vectors[:, 1:] / np.sqrt(values[1:])
    resistance = max(
        float(np.sum((scaled[part[:, 0]] - scaled[part[:, 1]]) ** 2, axis=1).max())
        for part in np.array_split(used, -(-len(used) // n))  # no more than n x n numbers at a time
    )
    return MeetingConstants(float(1 / values[1]), resistance / 2)


def edge_rates(
    topology: Topology, meetings_per_second: float = 1.0, edge_rates: np.ndarray | None = None
) -> np.ndarray:
    """Meetings per second of each row of `topology.edges`, f[e]: those given, or equal ones.

    Args:
      topology: an undirected graph.
      meetings_per_second: how often a node meets another, in the mean over nodes.
      edge_rates: a rate for each row of `topology.edges`, or None.

    Raises:
      InputError: if W is not symmetric, if a rate is negative, or if rates do not fit the edges.

    >>> from jdl.topology import ring
    >>> print(edge_rates(ring(4), meetings_per_second=3.0))
    [1.5 1.5 1.5 1.5]
    """
    need = f"got {topology.name!r} whose W is not symmetric, a pair needs a link both ways; use an undirected graph"
    checks.require(topology.symmetric, need)
    count = topology.edge_count
    if edge_rates is None:
        checks.bounded("meetings_per_second", meetings_per_second, 0, None)
        # Each meeting is one of two nodes.
        return np.full(count, topology.n * float(meetings_per_second) / 2 / max(count, 1))
    rates = np.asarray(edge_rates, float)
    shape = f"got edge_rates of shape {rates.shape}, need one for each of the {count} edges of {topology.name!r}"
    checks.require(rates.shape == (count,), f"{shape}; give one for each row of `topology.edges`")
    good = bool(np.all(np.isfinite(rates) & (rates >= 0)))
    checks.require(good, f"got edge_rates from {rates.min(initial=0):g}, need numbers of at least 0; correct them")
    return rates


edge_rates_of = edge_rates  # where an argument has its name
