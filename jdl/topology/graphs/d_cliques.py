"""D-Cliques: cliques whose label distributions resemble that of all nodes, and few edges between cliques."""

from __future__ import annotations

import numpy as np

from jdl import checks
from jdl.topology.graphs.linked import cliques_linked
from jdl.topology.topology import Topology

__all__ = ["cliques_of", "d_cliques"]

BETWEEN = ("fractal", "full", "ring", "small_world")
# The paper takes 1,000 steps for 10 cliques.
STEPS_PER_CLIQUE = 100
EDGE_BYTES = 300  # memory per edge in the lists and matrices that hold it


def d_cliques(
    n: int, clique_size: int = 10, between: str = "full", seed: int = 0, labels: np.ndarray | None = None
) -> Topology:
    """Nodes are fully linked within cliques of similar label distributions, and cliques sparsely to each other.

    The weights are Metropolis weights. The cliques are those of `cliques_of`: ceil(n / clique_size) of them, with sizes
    that differ by at most one. Between g cliques there is at most one edge per pair, and the edges of a clique are
    spread evenly over its nodes:

    - full: between all pairs, g (g - 1) / 2 edges.
    - ring: between cliques next to each other on a circle, g edges.
    - small_world: also between cliques 2^s and 2^s + 1 steps apart on it, at most 2 g ceil(log2 g) edges (the authors'
      code creates most of these twice, at other nodes).
    - fractal: all pairs among `clique_size` cliques make a group, all pairs among as many groups a larger one, and so
      on: about n / 2 edges, one per node.

    n = 1000 with full: 4,500 + 4,950 = 9,450 edges, 98.1 % less than the complete graph. One clique is complete: W = J.

    Sends:
      about clique_size - 1 messages per node and round, and g / clique_size (full), 2 / clique_size (ring), at most 4
      log2(g) / clique_size (small_world) or 1 (fractal) more.

    Args:
      n: number of nodes, at least 1.
      clique_size: largest number of nodes in a clique, at least 2.
      between: "full", "ring", "small_world" or "fractal".
      seed: seed of the cliques; the same seed gives the same graph.
      labels: `int[n, classes]`, the number of examples of each class on each node; None makes the cliques random.

    Raises:
      InputError: if `between` is unknown, or if labels have another shape.

    >>> d_cliques(1000)
    <d_cliques: 1000 nodes, 9450 edges, degree 18 to 19, doubly stochastic, symmetric>
    >>> d_cliques(1000, between="ring")
    <d_cliques: 1000 nodes, 4600 edges, degree 9 to 10, doubly stochastic, symmetric>

    References:
      Bellet, Kermarrec, Lavoie, "D-Cliques: Compensating for Data Heterogeneity with Topology in Decentralized
      Federated Learning", SRDS 2022.
    """
    between = checks.known("between", between, BETWEEN)
    clique = cliques_of(n, clique_size, seed, labels)
    g, used = int(clique.max()) + 1, np.zeros(n, int)
    if between != "fractal":
        return cliques_linked("d_cliques", clique, _edges(clique, _pairs(between, g), used))
    edges, unit = [], clique
    while unit.max() > 0:
        units = int(unit.max()) + 1
        starts = np.arange(0, units, clique_size)[:, None, None]
        pairs = (starts + _pairs("full", min(clique_size, units))).reshape(-1, 2)
        edges.append(_edges(unit, pairs[pairs[:, 1] < units], used))
        unit = unit // clique_size
    return cliques_linked("d_cliques", clique, np.concatenate([np.zeros((0, 2), int), *edges]))


def cliques_of(n: int, clique_size: int = 10, seed: int = 0, labels: np.ndarray | None = None) -> np.ndarray:
    """The clique of each node in `d_cliques` with these arguments: `int[n]`, numbered from 0.

    The cliques are random. With labels, greedy swaps follow: 100 times per clique, a random pair of cliques swaps two
    nodes, drawn among all swaps that lower the sum of the skews of both. The skew of a clique is sum_l |p_C(l) - p(l)|,
    where p_C is the label distribution of its examples together and p that of all nodes.

    Args:
      n: number of nodes, at least 1.
      clique_size: largest number of nodes in a clique, at least 2.
      seed: seed of the random draws.
      labels: `int[n, classes]`, the number of examples of each class on each node, or None.

    >>> np.bincount(cliques_of(11, clique_size=4))
    array([4, 4, 3])
    """
    n, size = checks.whole("n", n, 1), checks.whole("clique_size", clique_size, 2)
    rng = np.random.default_rng(checks.whole("seed", seed, 0))
    members = np.array_split(rng.permutation(n), -(-n // size))
    if labels is not None:
        _swap(members, _counts(n, labels), rng)
    clique = np.zeros(n, int)
    for number, nodes in enumerate(members):
        clique[nodes] = number
    return clique


def _counts(n: int, labels: np.ndarray) -> np.ndarray:
    counts = np.asarray(labels, dtype=np.float64)
    need = (
        f"got labels of shape {counts.shape}, need ({n}, classes) for n={n}; count the examples of each class on a node"
    )
    checks.require(counts.ndim == 2 and len(counts) == n and counts.shape[1] >= 1, need)
    fine = bool(np.all(np.isfinite(counts) & (counts >= 0)))
    checks.require(fine, "got labels with negative or missing counts, need numbers of at least 0; count examples")
    return counts


def _swap(members: list[np.ndarray], counts: np.ndarray, rng: np.random.Generator) -> None:
    share = counts.sum(axis=0) / max(counts.sum(), 1)

    def skew(totals: np.ndarray) -> np.ndarray:
        return np.abs(totals / np.maximum(totals.sum(axis=-1, keepdims=True), 1) - share).sum(axis=-1)

    for _ in range(STEPS_PER_CLIQUE * len(members) * (len(members) > 1)):
        a, b = (members[clique] for clique in rng.choice(len(members), 2, replace=False))
        change = counts[b][None, :, :] - counts[a][:, None, :]
        all_a, all_b = counts[a].sum(axis=0), counts[b].sum(axis=0)
        gain = skew(all_a) + skew(all_b) - skew(all_a + change) - skew(all_b - change)
        better = np.argwhere(gain > 1e-12)
        if len(better):
            i, j = rng.choice(better)
            a[i], b[j] = b[j], a[i]


def _pairs(between: str, g: int) -> np.ndarray:
    """`int[e, 2]`, the pairs of g cliques that share an edge."""
    if between == "full":
        checks.fits(g * g * EDGE_BYTES // 2, f"one edge between each two of {g:,} cliques")
        return np.stack(np.triu_indices(g, 1), axis=1)
    powers = 2 ** np.arange((g - 1).bit_length())
    steps = np.array([1]) if between == "ring" else np.union1d(powers, powers + 1)
    start = np.repeat(np.arange(g), len(steps))
    pairs = np.sort(np.stack([start, (start + np.tile(steps, g)) % g], axis=1), axis=1)
    return np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)


def _edges(unit: np.ndarray, pairs: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Pairs of units as pairs of nodes; each unit takes its least used nodes first. Updates `used: int[n]`."""
    order = np.lexsort((used, unit))
    sizes = np.bincount(unit)
    first = np.concatenate([[0], np.cumsum(sizes)])
    ends = pairs.ravel()
    by_unit = np.argsort(ends, kind="stable")
    counts = np.bincount(ends, minlength=len(sizes))
    turn = np.empty(len(ends), int)
    turn[by_unit] = np.arange(len(ends)) - np.repeat(np.cumsum(counts) - counts, counts)
    nodes = order[first[ends] + turn % sizes[ends]]
    used += np.bincount(nodes, minlength=len(used))
    return nodes.reshape(-1, 2)
