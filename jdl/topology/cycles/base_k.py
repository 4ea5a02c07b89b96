"""The Base-(k+1) graphs: cycles that average exactly, for any number of nodes and of neighbours per round."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from jdl import checks
from jdl.topology.cycles.hyper_hypercube import factors, grid
from jdl.topology.topology import Topology

__all__ = ["base_k", "simple_base_k"]

# The links of a round: the two ends and the weight of each, `int[e]`, `int[e]`, `float[e]`.
Links = tuple[np.ndarray, np.ndarray, np.ndarray]


def base_k(n: int, degree: int = 1) -> list[Topology]:
    """The Base-(k+1) graph: exact averaging of any number of nodes, with at most `degree` neighbours a round.

    Let k = degree and P the largest divisor of n without prime factors above k + 1. Then P groups of n / P nodes run
    `simple_base_k` in parallel, and the n / P sets of P nodes, one of each group, run `hyper_hypercube`; or all nodes
    run `simple_base_k` if that is shorter. The product of one period is J. Its length is at most 2 log_{k+1}(n) + 2
    rounds, compared with ceil(log2 n) rounds of `one_peer_exponential`, which are not exact.

    Sends:
      at most `degree` messages per node and round.

    Args:
      n: number of nodes, at least 1.
      degree: largest number of neighbours of a node in a round, at least 1; the k of the name.

    Returns:
      One period; symmetric topologies (one, without links, for n = 1).

    >>> len(base_k(6)), len(simple_base_k(6)), len(base_k(25)), len(base_k(25, degree=4))
    (4, 5, 9, 2)

    References:
      Takezawa, Sato, Bao, Niwa, Yamada, "Beyond Exponential Graph: Communication-Efficient Topologies for
      Decentralized Learning via Finite-time Convergence", NeurIPS 2023 (algorithm 3, theorem 1).
    """
    n, degree = checks.whole("n", n, 1), checks.whole("degree", degree, 1)
    smooth, rest = 1, n
    for factor in range(2, min(degree + 1, n) + 1):
        while rest % factor == 0:
            smooth, rest = smooth * factor, rest // factor
    node = np.arange(n).reshape(smooth, rest)
    side_by_side = [
        (node[:, i].ravel(), node[:, j].ravel(), np.tile(share, smooth)) for i, j, share in simple_rounds(rest, degree)
    ]
    both, simple = side_by_side + averaging(node.T, degree), simple_rounds(n, degree)
    return cycle("base_k", n, degree, simple if len(simple) < len(both) else both)


def simple_base_k(n: int, degree: int = 1) -> list[Topology]:
    """The Simple Base-(k+1) graph: exact averaging of any number of nodes; sometimes longer than `base_k`.

    n = sum_l a_l (k + 1)^(p_l) in base k + 1, with k = degree, gives consecutive sets V_1, V_2, ... of a_l blocks of
    (k + 1)^(p_l) nodes. First each V_l averages by `hyper_hypercube`. Then, for each l in turn, every node of the later
    sets exchanges with one node of each block of V_l, with weight q / a_l and q = |V_l| / (|V_l| + |V_{l+1}| + ...);
    the nodes of V_l without a partner average among themselves. From the next round on each block of V_l averages
    internally. If n has no prime factor above k + 1 it is `hyper_hypercube`. The product of one period is J.

    Sends:
      at most `degree` messages per node and round.

    Args:
      n: number of nodes, at least 1.
      degree: largest number of neighbours of a node in a round, at least 1; the k of the name.

    Returns:
      One period; symmetric topologies (one, without links, for n = 1).

    >>> [phase.edges.tolist() for phase in simple_base_k(3)]
    [[[0, 1]], [[0, 2]], [[0, 1]]]

    References:
      Takezawa, Sato, Bao, Niwa, Yamada, "Beyond Exponential Graph: Communication-Efficient Topologies for
      Decentralized Learning via Finite-time Convergence", NeurIPS 2023 (algorithm 2).
    """
    n, degree = checks.whole("n", n, 1), checks.whole("degree", degree, 1)
    return cycle("simple_base_k", n, degree, simple_rounds(n, degree))


def simple_rounds(n: int, degree: int) -> list[Links]:
    """The links of each round of `simple_base_k`; none for n = 1."""
    if factors(n, degree + 1) is not None:
        return averaging(np.arange(n), degree)
    sets = blocks(n, degree + 1)
    whole = [averaging(nodes.ravel(), degree) for nodes in sets]
    # Blocks of one node have nothing to average, so the nodes of the set average instead.
    inside = [averaging(nodes if nodes.shape[1] > 1 else nodes.ravel(), degree) for nodes in sets]
    rounds = [join([own[t % len(own)] for own in whole if own]) for t in range(len(whole[0]))]
    for t in range(1 + len(inside[0])):
        started = [min(place + 1, len(sets) - 1) for place in range(len(sets))]
        parts = [own[(t - start) % len(own)] for own, start in zip(inside, started, strict=True) if own and t >= start]
        if t < len(sets) - 1:
            later = np.concatenate([nodes.ravel() for nodes in sets[t + 1 :]])
            partners, alone = sets[t][:, : len(later)], sets[t][:, len(later) :].ravel()
            share = sets[t].size / (sets[t].size + len(later)) / len(sets[t])
            parts.append((np.tile(later, len(sets[t])), partners.ravel(), np.full(partners.size, share)))
            full = len(alone) // (degree + 1) * (degree + 1)
            parts += [cliques(alone[:full].reshape(-1, degree + 1)), cliques(alone[None, full:])]
        rounds.append(join(parts))
    return rounds


def blocks(n: int, base: int) -> list[np.ndarray]:
    """The digits of n as consecutive sets of nodes, largest first: `int[a, base^p]` for a digit a at place p."""
    sets, start, size = [], 0, 1
    while size * base <= n:
        size *= base
    while start < n:
        stop = start + (n - start) // size * size
        if stop > start:
            sets.append(np.arange(start, stop).reshape(-1, size))
        start, size = stop, size // base
    return sets


def averaging(nodes: np.ndarray, degree: int) -> list[Links]:
    """The rounds of `hyper_hypercube` along the last axis of `nodes: int[..., m]`, in parallel along the other axes."""
    rounds, stride = [], 1
    for side in factors(nodes.shape[-1], degree + 1):
        rounds.append(cliques(nodes.reshape(-1, side, stride).swapaxes(1, 2).reshape(-1, side)))
        stride *= side
    return rounds


def cliques(members: np.ndarray) -> Links:
    """All pairs within each row of `members: int[g, r]`, with weight 1 / r."""
    size = members.shape[1]
    one, other = np.triu_indices(size, 1)
    return members[:, one].ravel(), members[:, other].ravel(), np.full(len(members) * len(one), 1 / max(size, 1))


def join(parts: Sequence[Links]) -> Links:
    """All links of several parts of the graph that have no node in common."""
    i, j, share = zip(*parts, strict=True)
    return np.concatenate(i), np.concatenate(j), np.concatenate(share)


def cycle(name: str, n: int, degree: int, rounds: Sequence[Links]) -> list[Topology]:
    """One symmetric topology for each round; the weight of a node on itself is the rest to 1."""
    sides = factors(n, degree + 1)
    if sides is not None:
        return grid(name, n, sides)
    node, phases = np.arange(n), []
    for phase, (i, j, share) in enumerate(rounds):
        own = 1 - np.bincount(i, share, n) - np.bincount(j, share, n)
        row, column = np.concatenate([i, j, node]), np.concatenate([j, i, node])
        weights = csr_array((np.concatenate([share, share, own]), (row, column)), shape=(n, n))
        phases.append(Topology(f"{name}, phase {phase + 1} of {len(rounds)}", weights, symmetric=True))
    return phases
