"""Division of a labelled data set over nodes. Every example goes to exactly one node.

Each rule only names the owner of every example; one function turns owners into the padded table.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jdl import checks

__all__ = ["Partition", "dirichlet", "iid", "shards"]


class Partition(NamedTuple):
    """Which examples each of `n` nodes holds.

    indices: i32[n, m], positions in the data set; row `i` has `counts[i]` of them, then zeros as padding.
    counts: i32[n], the number of examples of each node, zero for a node without data. `m` is the largest.
    """

    indices: np.ndarray
    counts: np.ndarray


def iid(labels: np.ndarray, nodes: int, seed: int = 0) -> Partition:
    """Examples dealt at random, in shares that differ by at most one example.

    Args:
      labels: i32[N], the class of each example.
      nodes: how many nodes share them. More nodes than examples leaves random nodes without data.
      seed: names the draw.

    >>> sorted(iid(np.zeros(10, np.int32), nodes=4).counts.tolist())
    [2, 2, 3, 3]
    """
    labels, nodes = _checked(labels, nodes)
    rng = np.random.default_rng(seed)
    turn = rng.permutation(nodes)[np.arange(labels.size) % nodes]
    return _table(rng.permutation(turn), nodes)


def dirichlet(labels: np.ndarray, nodes: int, alpha: float = 0.5, seed: int = 0) -> Partition:
    """Each class split over the nodes in Dirichlet(alpha) proportions: small alpha, few labels a node.

    For each class with `N_c` examples, `p ~ Dirichlet(alpha, ..., alpha)` over the nodes, and node `i` gets
    `N_c p_i` of them, rounded down or up at random without bias (systematic sampling). Sizes differ too; nothing
    is drawn again, so with small alpha or many nodes some nodes hold no data.

    Args:
      labels: i32[N], the class of each example.
      nodes: how many nodes share them.
      alpha: concentration, above 0: 100 is nearly the same mixture everywhere, 0.05 about one label a node.
      seed: names the draw.

    Raises:
      InputError: `alpha` is not a finite number above 0.

    >>> int(dirichlet(np.arange(1000) % 10, nodes=64, alpha=0.05).counts.sum())
    1000

    References:
      M. Yurochkin et al., "Bayesian Nonparametric Federated Learning of Neural Networks", ICML 2019, splits each
      class so. (Hsu, Qi and Brown, 2019, draw each node's mixture of classes instead.)
    """
    labels, nodes = _checked(labels, nodes)
    checks.require(
        np.isfinite(alpha) and alpha > 0,
        f"got alpha={alpha!r}, a Dirichlet distribution needs a finite number above 0; try alpha=0.5",
    )
    rng = np.random.default_rng(seed)
    owner = np.empty(labels.size, np.int64)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        ends = np.cumsum(rng.dirichlet(np.full(nodes, alpha)))
        # Equally spaced points, shifted at random: p_i of them, to within one, fall into node i's interval.
        points = (np.arange(members.size) + rng.random()) / members.size
        piece = np.minimum(np.searchsorted(ends, points, side="right"), nodes - 1)  # rounding may end below 1
        # Without the permutation, nodes with close ids would never share a class when nodes outnumber examples.
        owner[members] = rng.permutation(nodes)[piece]
    return _table(owner, nodes)


def shards(labels: np.ndarray, nodes: int, shards_per_node: int = 2, seed: int = 0) -> Partition:
    """Examples sorted by label and cut into shards, dealt at random: about `shards_per_node` labels a node.

    Args:
      labels: i32[N], the class of each example.
      nodes: how many nodes share them.
      shards_per_node: how many shards each node is dealt. Shards differ by at most one example in size.
      seed: names the draw.

    Raises:
      InputError: there are more shards than examples.

    >>> shards(np.arange(1000) % 10, nodes=50).counts.tolist() == [20] * 50
    True

    References:
      B. McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", AISTATS 2017.
    """
    labels, nodes = _checked(labels, nodes)
    shards_per_node = checks.whole("shards_per_node", shards_per_node, 1)
    total, most = nodes * shards_per_node, labels.size // shards_per_node
    remedy = f"try nodes={most}, or the partition iid or dirichlet" if most else f"try shards_per_node={labels.size}"
    checks.require(
        total <= labels.size,
        f"got nodes={nodes} with shards_per_node={shards_per_node}, which makes {total} shards of {labels.size} "
        f"examples; need at least one example a shard; {remedy}",
    )
    rng = np.random.default_rng(seed)
    dealt = rng.permutation(total) // shards_per_node
    shard = np.arange(labels.size) * total // labels.size
    owner = np.empty(labels.size, np.int64)
    owner[np.argsort(labels, kind="stable")] = dealt[shard]
    return _table(owner, nodes)


def _checked(labels: np.ndarray, nodes: int) -> tuple[np.ndarray, int]:
    nodes = checks.whole("nodes", nodes, 1)
    labels = np.asarray(labels)
    checks.require(
        labels.ndim == 1 and labels.size > 0,
        f"got labels of shape {labels.shape}, need one label for each example, of shape [N] with N at least 1; "
        "try labels.reshape(-1)",
    )
    # At the peak, four numbers of 8 bytes a node: a concentration, a proportion, its running sum, a permutation.
    checks.fits(32 * nodes, f"nodes={nodes}")
    return labels, nodes


def _table(owner: np.ndarray, nodes: int) -> Partition:
    """The padded table of `owner: i[N]`, the node that holds each example."""
    counts = np.bincount(owner, minlength=nodes)
    width = int(counts.max())
    checks.fits(4 * nodes * width, f"nodes={nodes} with up to {width} examples each")
    examples = np.argsort(owner, kind="stable")
    row = owner[examples]
    column = np.arange(owner.size) - (np.cumsum(counts) - counts)[row]
    indices = np.zeros((nodes, width), np.int32)
    indices[row, column] = examples
    return Partition(indices, counts.astype(np.int32))
