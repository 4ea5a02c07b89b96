"""Expanders: sparse graphs whose spectral gap is bounded below for all n, by construction or by checked random draw."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csr_array, eye_array

from jdl import checks
from jdl.topology.graphs.linked import DRAWS
from jdl.topology.graphs.random_graphs import random_regular
from jdl.topology.spectrum.eigenvalues import lambda_2
from jdl.topology.topology import Topology

__all__ = ["expander", "margulis"]


def margulis(n: int) -> Topology:
    """Node (x, y) of an m x m square talks to (x +- 2y, y), (x +- (2y + 1), y), (x, y +- 2x), (x, y +- (2x + 1)).

    All sums are modulo m, and node (x, y) has the number x m + y. W = (I + A) / 9, where A counts with multiplicity the
    neighbours that the rule gives twice, and the node itself where the rule gives it. The eigenvalues of A other than 8
    are at most 5 sqrt(2) in modulus, so lambda_2 <= (1 + 5 sqrt(2)) / 9 = 0.897 for every n: an explicit expander,
    without random draws.

    Sends:
      at most 8 messages per node and round.

    Args:
      n: number of nodes, a square.

    Raises:
      InputError: if n is not a square; the message names the nearest one.

    >>> margulis(16)
    <margulis: 16 nodes, 40 edges, degree 4 to 6, doubly stochastic, symmetric>

    References:
      Margulis, "Explicit constructions of expanders", Problems of Information Transmission 9, 1973.
      Gabber, Galil, "Explicit constructions of linear-sized superconcentrators", Journal of Computer and System
      Sciences 22, 1981.
      Hoory, Linial, Wigderson, "Expander graphs and their applications", Bulletin of the AMS 43, 2006 (section 8, the
      bound).
    """
    n = checks.whole("n", n, 1)
    m = math.isqrt(n)
    near = m**2 if n - m**2 < (m + 1) ** 2 - n else (m + 1) ** 2
    checks.require(n == m**2, f"got n={n}, a Margulis graph needs a square; try n={near}")
    x, y = np.divmod(np.arange(n), m)
    steps = [2 * y, -2 * y, 2 * y + 1, -2 * y - 1]
    across = [(x + step) % m * m + y for step in steps]
    steps = [2 * x, -2 * x, 2 * x + 1, -2 * x - 1]
    along = [x * m + (y + step) % m for step in steps]
    ends = np.concatenate(across + along)
    links = csr_array((np.ones(8 * n), (np.tile(np.arange(n), 8), ends)), shape=(n, n))
    return Topology("margulis", csr_array((links + eye_array(n)) / 9), symmetric=True)


def expander(n: int, degree: int = 4, seed: int = 0) -> Topology:
    """A random regular graph, drawn again until it mixes as fast as Ramanujan graphs.

    W = 1 / (degree + 1) on the node and its neighbours, with lambda_2 <= (1 + 2 sqrt(degree - 1)) / (degree + 1), which
    no family of graphs of this degree can improve as n grows (Alon, Boppana). The eigenvalues of every draw are
    computed, for seed, seed + 1, ..., at most 100 times. Of very large random graphs 69 % are within the bound at both
    ends of their spectrum, and W needs only the upper end.

    Sends:
      `degree` messages per node and round.

    Args:
      n: number of nodes, at least 1.
      degree: number of neighbours of each node, less than n, and even if n is odd.
      seed: seed of the first draw; the same seed gives the same graph.

    Raises:
      InputError: if no connected graph of this degree exists, or if 100 draws in a row mix more slowly.

    >>> expander(64, degree=4)
    <expander: 64 nodes, 128 edges, degree 4, doubly stochastic, symmetric>

    References:
      Lubotzky, Phillips, Sarnak, "Ramanujan graphs", Combinatorica 8, 1988.
      Alon, "Eigenvalues and expanders", Combinatorica 6, 1986.
      Huang, McKenzie, Yau, "Ramanujan property and edge universality of random regular graphs", 2024 (how many pass).
    """
    seed = checks.whole("seed", seed, 0)
    for number in range(seed, seed + DRAWS):
        topology = random_regular(n, degree, number)
        bound = (1 + 2 * math.sqrt(max(0, degree - 1))) / (degree + 1)
        if lambda_2(topology) <= bound + 1e-9:  # the error of the solver
            return Topology("expander", topology.weights, symmetric=True)
    need = f"need one with lambda_2 of at most {bound:.4f}"
    raise checks.InputError(f"got {DRAWS} slower graphs in a row with n={n} and degree={degree}, {need}; try another n")
