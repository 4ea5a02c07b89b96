"""The division of a data set into a training and a test set in which each class has its share."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["train_and_test"]


def train_and_test(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the examples of both sets at random; each class has its share of each set, to within one example.

    These are the draws of scikit-learn's `train_test_split(..., stratify=labels)`, one by one, so that a seed names the
    same division as there. To import that function takes a second.

    Args:
      labels: the class of each example, [N], of any sortable type.
      fraction: share of the test set, which has ceil(fraction N) examples.
      seed: seed of the draws, from 0 to 2^32 - 1.

    Returns:
      The numbers of the examples of the training set and of the test set, each in a random order.

    >>> train, test = train_and_test(np.repeat([0, 1], 5), 0.4, seed=0)
    >>> np.bincount(np.repeat([0, 1], 5)[test]).tolist()
    [2, 2]
    """
    rng = np.random.RandomState(seed)  # the generator of scikit-learn
    tested = math.ceil(fraction * len(labels))
    classes, sizes = np.unique(labels, return_inverse=True, return_counts=True)[1:]
    members = np.split(np.argsort(classes, kind="stable"), np.cumsum(sizes)[:-1])
    of_train = _shares(sizes, len(labels) - tested, rng)
    of_test = _shares(sizes - of_train, tested, rng)
    shuffled = [own[rng.permutation(len(own))] for own in members]
    train = [own[:count] for own, count in zip(shuffled, of_train, strict=True)]
    test = [own[a : a + count] for own, a, count in zip(shuffled, of_train, of_test, strict=True)]
    return rng.permutation(np.concatenate(train)), rng.permutation(np.concatenate(test))


def _shares(sizes: np.ndarray, count: int, rng: np.random.RandomState) -> np.ndarray:
    """How many of `count` examples come from each class: in proportion, the largest remainders rounded up.

    Equal remainders are drawn in random order.
    """
    exact = sizes / sizes.sum() * count
    shares = np.floor(exact)
    left = int(count - shares.sum())
    for remainder in np.unique(exact - np.floor(exact))[::-1]:
        if left <= 0:
            break
        (equal,) = np.nonzero(exact - np.floor(exact) == remainder)
        more = rng.choice(equal, size=min(len(equal), left), replace=False)
        shares[more] += 1
        left -= len(more)
    return shares.astype(int)
