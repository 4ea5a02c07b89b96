"""Exact averaging along the axes of a grid, one axis a round: hypercubes, mixed-radix hypercubes, Moshpit's grid."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from jdl import checks
from jdl.topology.topology import Topology, grouped

__all__ = ["hyper_hypercube", "moshpit", "one_peer_hypercube"]


def one_peer_hypercube(n: int) -> list[Topology]:
    """Every node averages with the node whose number differs in one bit, with another bit each round.

    W(t) = 1/2 on i and i xor 2^(t mod tau), tau = log2 n. Each phase is symmetric and has the eigenvalues 1 and 0, half
    of each. The product of one period is J: averaging is exact after tau rounds with one message each.

    Sends:
      1 message per node and round.

    Args:
      n: number of nodes, a power of two.

    Returns:
      One period: tau topologies (one, without links, for n = 1).

    Raises:
      InputError: if n is not a power of two; the message names the nearest valid n. `base_k` takes every n.

    >>> [phase.edges.tolist() for phase in one_peer_hypercube(4)]
    [[[0, 1], [2, 3]], [[0, 2], [1, 3]]]

    References:
      Shi, Li, Johansson, Johansson, "Finite-Time Convergent Gossiping", IEEE/ACM Transactions on Networking 24, 2016.
    """
    n = checks.whole("n", n, 1)
    near = nearest(n, lambda size: size & (size - 1) == 0)
    checks.require(near == n, f"got n={n}, a hypercube needs a power of two; try n={near}, or base_k for any n")
    return grid("one_peer_hypercube", n, [2] * (n.bit_length() - 1))


def hyper_hypercube(n: int, degree: int = 1) -> list[Topology]:
    """Nodes on a grid with sides of at most degree + 1 average along one axis a round.

    n = f_1 f_2 ... f_tau with the smallest number of factors f_m <= degree + 1. In round m the f_m nodes average whose
    mixed-radix numbers differ only in digit m. The product of one period is J: averaging is exact after tau rounds, tau
    >= log_{degree + 1} n. With degree = 1 it is `one_peer_hypercube`.

    Sends:
      at most `degree` messages per node and round.

    Args:
      n: number of nodes, without a prime factor above degree + 1.
      degree: largest number of neighbours of a node in a round, at least 1.

    Returns:
      One period: tau topologies (one, without links, for n = 1).

    Raises:
      InputError: if n has a larger prime factor; the message names the nearest n without one. `base_k` takes every n.

    >>> [int(phase.degree.max()) for phase in hyper_hypercube(12, degree=3)]
    [2, 3]

    References:
      Takezawa, Sato, Bao, Niwa, Yamada, "Beyond Exponential Graph: Communication-Efficient Topologies for
      Decentralized Learning via Finite-time Convergence", NeurIPS 2023 (algorithm 1).
    """
    n, degree = checks.whole("n", n, 1), checks.whole("degree", degree, 1)
    sides = factors(n, degree + 1)
    if sides is None:
        near = nearest(n, lambda size: factors(size, degree + 1) is not None)
        raise checks.InputError(
            f"got n={n} with degree={degree}, a hyper-hypercube needs n without prime factors above "
            f"degree + 1 = {degree + 1}; try n={near}, or base_k for any n"
        )
    return grid("hyper_hypercube", n, sides)


def moshpit(n: int, degree: int | None = None) -> list[Topology]:
    """Nodes on a full grid with equal sides average within groups along one axis a round.

    n = side^tau. In round m the `side` nodes average that agree in all coordinates except number m. The product of one
    period is J: averaging is exact after tau rounds if no node fails. The published method also regroups nodes at
    random if the grid is not full or nodes fail.

    Sends:
      `side` - 1 messages per node and round, to all of its group.

    Args:
      n: number of nodes, a power of the side.
      degree: number of other nodes in a group, side - 1; by default for the largest side with n = side^tau, tau >= 2.

    Returns:
      One period: tau topologies (one, without links, for n = 1).

    Raises:
      InputError: if n is not such a power; the message names the nearest n that is.

    >>> moshpit(1024)
    [<moshpit, phase 1 of 2: 1024 nodes, 15872 edges, degree 31, doubly stochastic, symmetric>, \
<moshpit, phase 2 of 2: 1024 nodes, 15872 edges, degree 31, doubly stochastic, symmetric>]

    References:
      Ryabinin, Gorbunov, Plokhotnyuk, Pekhimenko, "Moshpit SGD: Communication-Efficient Decentralized Training on
      Heterogeneous Unreliable Devices", NeurIPS 2021 (algorithm 1).
    """
    n = checks.whole("n", n, 1)
    if degree is None:
        sides, kind, fits = power(n), "a perfect power side^tau with tau >= 2", lambda size: power(size) is not None
    else:
        side = checks.whole("degree", degree, 1) + 1
        sides, kind, fits = (
            power(n, side),
            f"a power of degree + 1 = {side}",
            lambda size: power(size, side) is not None,
        )
    if sides is None:
        raise checks.InputError(f"got n={n}, a full Moshpit grid needs {kind}; try n={nearest(n, fits)}")
    return grid("moshpit", n, sides)


def grid(name: str, n: int, sides: Sequence[int]) -> list[Topology]:
    """One phase for each side: nodes average whose numbers, of mixed radix `sides`, differ only in that digit."""
    node, stride, groups = np.arange(n), 1, []
    for side in sides or (1,):
        groups.append(node // (stride * side) * stride + node % stride)
        stride *= side
    return [grouped(f"{name}, phase {phase + 1} of {len(groups)}", group) for phase, group in enumerate(groups)]


def factors(n: int, largest: int) -> list[int] | None:
    """The fewest factors of at most `largest` whose product is n, in ascending or equal order; None if there are none.

    >>> factors(216, 8), factors(14, 6)
    ([6, 6, 6], None)
    """
    if n == 1:
        return []
    # Factors in descending order, so that each multiset is tried once.
    ways = ((side, factors(n // side, side)) for side in range(min(n, largest), 1, -1) if n % side == 0)
    return min(([*rest, side] for side, rest in ways if rest is not None), key=len, default=None)


def power(n: int, side: int | None = None) -> list[int] | None:
    """`[side] * tau` with n = side^tau; by default the smallest tau of at least two. None if there is no such power."""
    if side is None:
        bases = ((round(n ** (1 / tau)), tau) for tau in range(2, n.bit_length()))
        return next(([base] * tau for base, tau in bases if base**tau == n), [] if n == 1 else None)
    tau = next(tau for tau in itertools.count() if side**tau >= n)
    return [side] * tau if side**tau == n else None


def nearest(n: int, fits: Callable[[int], bool]) -> int:
    """The number nearest to n for which `fits` holds; the larger one of two that are equally near."""
    nearby = (size for distance in itertools.count() for size in (n + distance, n - distance))
    return next(size for size in nearby if size >= 1 and fits(size))
