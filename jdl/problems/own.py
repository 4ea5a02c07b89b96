"""What a node meets after training: each test example counts at a node as much as the node's own data resemble it."""

from __future__ import annotations

import numpy as np

from jdl.data import Dataset, Partition

__all__ = ["own_groups"]

# The largest table of weights that is made, in bytes. Where nodes times groups need more, no weights are made.
WEIGHTS_BYTES = 2**28


def own_groups(data: Dataset, split: Partition) -> tuple[np.ndarray, np.ndarray] | None:
    """The groups of the test examples, and the weight of an example of each group at each node.

    Groups are owners if test examples have owners and the partition keeps them apart: no node has examples of two
    owners, or no owner lies at two nodes. Otherwise they are classes. The weights of a node are its share of training
    examples of each group over the number of test examples of this group, so that they are those of the test set where
    both histograms agree. A node whose groups have no test examples, such as a node without data, is measured on the
    whole test set.

    Args:
      data: the data set.
      split: the partition of its training examples.

    Returns:
      The groups, i32[T], and the weights, f64[n, G], whose sum over the test examples is one for each node; None if
      the test examples have neither owners nor one class each, or if the weights would need too much memory.

    >>> x, y = np.zeros((4, 1), np.float32), np.array([0, 0, 1, 1], np.int32)
    >>> data = Dataset(x, y, x, y, num_classes=2, name="", source="")
    >>> own_groups(data, Partition(np.array([[0, 1, 2], [3, 0, 0]], np.int32), np.array([3, 1])))[1].round(3).tolist()
    [[0.333, 0.167], [0.0, 0.5]]
    """
    counts = np.asarray(split.counts)
    rows = np.asarray(split.indices)[np.arange(split.indices.shape[1]) < counts[:, None]]
    node = np.repeat(np.arange(len(counts)), counts)
    found = _owners(data, node, rows)
    if found is None and data.num_classes and np.ndim(data.train_y) == 1:
        found = np.asarray(data.train_y), np.asarray(data.test_y), data.num_classes
    if found is None or 8 * len(counts) * found[2] > WEIGHTS_BYTES:
        return None
    train, test, groups = found
    held = np.bincount(node * groups + train[rows], minlength=len(counts) * groups).reshape(len(counts), groups)
    sizes = np.bincount(test, minlength=groups)
    weights = np.where(sizes > 0, held / np.maximum(sizes, 1), 0)
    total = weights @ sizes
    weights = np.where(total[:, None] > 0, weights / np.maximum(total, 1e-300)[:, None], 1 / len(test))
    return test.astype(np.int32), weights


def _owners(data: Dataset, node: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, int] | None:
    """The owners of the training and the test examples and the number of groups, if the partition keeps owners apart.

    Owners of test examples that own no training example, or are not known (-1), are one further group.
    """
    if data.train_owner is None or data.test_owner is None:
        return None
    train, test = np.asarray(data.train_owner, np.int64), np.asarray(data.test_owner, np.int64)
    owners = int(train.max()) + 1
    pairs = np.unique(node * owners + train[rows])
    apart = len(pairs) in (len(np.unique(pairs // owners)), len(np.unique(pairs % owners)))
    return (train, np.where((test < 0) | (test >= owners), owners, test), owners + 1) if apart else None
