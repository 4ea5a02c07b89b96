"""The choice of test examples in each group, and the conversion of labels to classes."""

from __future__ import annotations

import numpy as np

from jdl import checks

__all__ = ["classes", "held_out"]


def held_out(groups: np.ndarray, fraction: float = 0.2, seed: int = 0) -> np.ndarray:
    """The examples to test on, bool[N]: the same share of each group (a class, a user), to within half an example.

    Args:
      groups: [N], the group of each example, of any sortable type.
      fraction: share of each group that is held out, rounded in each group.
      seed: seed of the random choice.

    Returns:
      bool[N], true for test examples.

    Raises:
      InputError: if the test or the training part would be empty, or the seed is invalid.

    >>> int(held_out(np.zeros(10)).sum())
    2
    """
    rng = np.random.default_rng(checks.whole("seed", seed, 0))
    members, sizes = np.unique(groups, return_inverse=True, return_counts=True)[1:]
    shuffled = rng.permutation(members.size)
    order = shuffled[np.argsort(members[shuffled], kind="stable")]
    rank = np.arange(members.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    held = np.zeros(members.size, bool)
    held[order] = rank < np.repeat(np.floor(fraction * sizes + 0.5), sizes)
    checks.require(
        0 < held.sum() < held.size,
        f"got {held.size} examples in {sizes.size} groups, too few to hold out {fraction:.0%} of each for a test; use "
        "a data set with more examples, or one with a test part",
    )
    return held


def classes(train: np.ndarray, test: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Labels of any type as i32 classes 0, 1, ... in sorted order, for both parts, and the labels in that order."""
    labels, numbers = np.unique(train if test is None else np.concatenate([train, test]), return_inverse=True)
    numbers = numbers.astype(np.int32)
    return numbers[: len(train)], None if test is None else numbers[len(train) :], labels
