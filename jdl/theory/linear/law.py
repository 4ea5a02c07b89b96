"""One round as a random affine map of a vector."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["EXACT", "Law", "composed", "grouped"]

# Rounding in float64 stays far below this, relative to the size of a state.
EXACT = 1e-9


class Law(NamedTuple):
    """One round as a random affine map, `x <- A x + b + e` with E[e e'] = Q, and the models before it, `M x + c`.

    Attributes:
      A: f[K, D, D], the matrices that may occur; K = 1 if the round is not random.
      b: f[K, D], the vector that belongs to each.
      weights: f[K], their probabilities.
      Q: f[D, D], the covariance of the Gaussian gradient noise.
      M: f[P, D], from the vector to the models of all nodes.
      c: f[P].
    """

    A: np.ndarray
    b: np.ndarray
    weights: np.ndarray
    Q: np.ndarray
    M: np.ndarray
    c: np.ndarray

    @property
    def mean_A(self) -> np.ndarray:
        """E[A], f[D, D]."""
        return np.tensordot(self.weights, self.A, 1)

    @property
    def mean_b(self) -> np.ndarray:
        """E[b], f[D]."""
        return self.weights @ self.b

    def mixed(self, C: np.ndarray) -> np.ndarray:
        """E[A C A'], f[D, D]."""
        return np.tensordot(self.weights, self.A @ C @ self.A.transpose(0, 2, 1), 1)


def grouped(A: np.ndarray, b: np.ndarray, Q: np.ndarray, M: np.ndarray, c: np.ndarray) -> Law:
    """A law in which equal draws are merged into one, whose probability is their share."""
    look = np.random.default_rng(0).normal(size=A.shape[-1])
    seen = np.concatenate([A @ look, look @ A, b], axis=1)
    rounded = np.round(seen / (EXACT * max(np.abs(seen).max(), 1e-300)))
    _, first, count = np.unique(rounded, axis=0, return_index=True, return_counts=True)
    return Law(A[first], b[first], count / len(A), Q, M, c)


def composed(laws: list[Law]) -> list[Law]:
    """Rounds that follow each other as one, if none is random; otherwise the rounds as they are."""
    if any(len(law.A) > 1 for law in laws):
        return laws
    first = laws[0]
    A, b, Q = first.A[0], first.b[0], first.Q
    for law in laws[1:]:
        A, b, Q = law.A[0] @ A, law.A[0] @ b + law.b[0], law.mixed(Q) + law.Q
    return [Law(A[None], b[None], np.ones(1), Q, first.M, first.c)]
