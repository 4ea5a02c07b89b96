"""What a partition is like: labels by node, and how far nodes are from each other, in numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jdl import checks
from jdl.data.partition.table import Partition

__all__ = ["Heterogeneity", "classes", "heterogeneity", "label_histogram"]


class Heterogeneity(NamedTuple):
    """How far the nodes of a partition are from each other. `q_i` is the label distribution of node i, `p` that of all.

    total_variation: mean over nodes with data of `sum_c |q_ic - p_c| / 2`: 0 for the same mixture, `1 - p_c` for a node
      with class c alone.
    weighted_total_variation: the same, each node weighted by its number of examples.
    effective_classes: exp of the mean entropy of `q_i` over nodes with data: 1 for one label a node.
    gini: of sizes, over all nodes: 0 for equal sizes, `1 - 1/n` if one node holds everything.
    empty_nodes: nodes without data.
    concentration: the alpha for which mixtures `Dirichlet(alpha p)` vary as these do: 0 for one label a node, infinite
      for equal mixtures.
    """

    total_variation: float
    weighted_total_variation: float
    effective_classes: float
    gini: float
    empty_nodes: int
    concentration: float


def label_histogram(split: Partition, labels: np.ndarray, num_classes: int | None = None) -> np.ndarray:
    """How many examples of each class each node holds, i32[n, C].

    Args:
      split: of `n` nodes.
      labels: i32[N], the class of each example, from 0.
      num_classes: C; by default the largest label and one.

    Raises:
      InputError: labels that are no classes from 0 to C - 1, or not one for each example of the partition.

    >>> split = Partition(np.array([[0, 1, 2], [3, 0, 0]], np.int32), np.array([3, 1], np.int32))
    >>> label_histogram(split, np.array([0, 0, 1, 2])).tolist()
    [[2, 1, 0], [0, 0, 1]]
    """
    labels = _one_for_each(labels)
    nodes, examples = split.counts.size, int(split.counts.sum())
    checks.require(
        labels.size == examples,
        f"got {labels.size} labels with a partition of {examples} examples, need the labels that it divides; "
        "try data.train_y",
    )
    need = f"got labels of type {labels.dtype}, need whole numbers; try np.unique(labels, return_inverse=True)[1]"
    checks.require(labels.dtype.kind in "biu", need)
    size = int(labels.max()) + 1 if num_classes is None else checks.whole("num_classes", num_classes, 1)
    checks.require(
        int(labels.min()) >= 0 and int(labels.max()) < size,
        f"got labels from {labels.min()} to {labels.max()} with num_classes={size}, need 0 to {size - 1}; "
        "try np.unique(labels, return_inverse=True)[1] for labels, or leave num_classes out",
    )
    checks.fits(8 * nodes * size, f"nodes={nodes} with {size} classes")
    real = np.arange(split.indices.shape[1]) < split.counts[:, None]
    cell = np.repeat(np.arange(nodes), split.counts) * size + labels[split.indices[real]]
    return np.bincount(cell, minlength=nodes * size).reshape(nodes, size).astype(np.int32)


def heterogeneity(split: Partition, labels: np.ndarray) -> Heterogeneity:
    """How far nodes are from each other, in labels and in sizes.

    The concentration is estimated by moments: the variance of the nodes' label distributions, weighted by size, is
    `1 / (alpha + 1)` of `sum_c p_c (1 - p_c)`. It is that of `DirichletPerNode`; with C classes of one size,
    `Dirichlet(alpha)` comes out near `C alpha`. What sampling does is not taken off: `m` examples a node, dealt iid,
    come out as about `m - 1`.

    Args:
      split: of `n` nodes.
      labels: i32[N], the class of each example: whole numbers or names.

    >>> split = Partition(np.array([[0, 1], [2, 3], [0, 0]], np.int32), np.array([2, 2, 0], np.int32))
    >>> told = heterogeneity(split, np.array([0, 0, 1, 1]))
    >>> told.total_variation, told.effective_classes, told.empty_nodes, told.concentration
    (0.5, 1.0, 1, 0.0)

    References:
      T. Minka, "Estimating a Dirichlet Distribution", 2000, for moments.
    """
    counts = label_histogram(split, classes(labels)[1])
    sizes = counts.sum(axis=1)
    held = counts[sizes > 0]
    weight = held.sum(axis=1) / counts.sum()
    q, p = held / held.sum(axis=1, keepdims=True), counts.sum(axis=0) / counts.sum()
    distance = np.abs(q - p).sum(axis=1) / 2
    entropy = -np.sum(q * np.log(np.where(q > 0, q, 1)), axis=1)
    most = float(np.sum(p * (1 - p)))
    share = float(weight @ np.sum((q - p) ** 2, axis=1)) / most if most else 0.0  # of the largest variance there can be
    ranks = 2 * np.arange(1, sizes.size + 1) - sizes.size - 1
    return Heterogeneity(
        total_variation=float(distance.mean()),
        weighted_total_variation=float(weight @ distance),
        effective_classes=float(np.exp(entropy.mean())),
        gini=float(ranks @ np.sort(sizes) / (sizes.size * sizes.sum())),
        empty_nodes=int(np.sum(sizes == 0)),
        concentration=max(0.0, 1 / share - 1) if share else float("inf"),
    )


def classes(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The names of the classes that there are, sorted, and the place i64[N] of each label among them.

    >>> names, members = classes(np.array(["dog", "cat", "dog"]))
    >>> names.tolist(), members.tolist()
    (['cat', 'dog'], [1, 0, 1])
    """
    return np.unique(_one_for_each(labels), return_inverse=True)


def _one_for_each(labels: np.ndarray) -> np.ndarray:
    labels = np.asarray(labels)
    checks.require(
        labels.ndim == 1 and labels.dtype.kind not in "fc",
        f"got labels of shape {labels.shape} and type {labels.dtype}, need one class for each example, of shape [N]; "
        "without classes there are only sizes to report, which are split.counts",
    )
    return labels
