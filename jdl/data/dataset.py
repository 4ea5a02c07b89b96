"""The type of a data set: NumPy arrays and a sentence about their source."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = ["Dataset"]


class Dataset(NamedTuple):
    """A data set of `N` training examples and `T` test examples.

    Attributes:
      train_x: f32[N, d] features, u8[N, H, W, C] images (0 to 255), or i32[N, L] tokens or ids.
      train_y: i32[N] classes from 0 to num_classes - 1; i32[N, L] the token that follows each token of x, with
        num_classes the size of the vocabulary; or f32[N] real targets, with num_classes = 0.
      test_x: T test examples of the same shape and type as in `train_x`.
      test_y: T test targets of the same kind as in `train_y`.
      num_classes: number of classes, or 0 for real targets.
      name: name of the data set.
      source: sentence that states where the data come from.
      train_owner: i32[N], the natural owner of each example (a speaker, a writer, a user), or None.
      test_owner: i32[T], the owner of each test example, -1 if it owns no training example, or None.
      truth: quantities that a generator drew, by name, or None.
    """

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    num_classes: int
    name: str
    source: str
    train_owner: np.ndarray | None = None
    test_owner: np.ndarray | None = None
    truth: dict[str, Any] | None = None
