"""Seeds whose simulations differ in their parts: groups of equal simulations, and the moments of their mixture."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np

from jdl.engine.sim import Simulation

__all__ = ["alike_but_for_seeds", "mixture"]


def alike_but_for_seeds(several: Sequence[Simulation]) -> list[list[Simulation]]:
    """Groups of simulations; those of one group differ in their seeds alone."""
    groups: list[list[Simulation]] = []
    for one in several:
        group = next((group for group in groups if _alike(group[0], one)), None)
        if group is None:
            groups.append([one])
        else:
            group.append(one)
    return groups


def _alike(one: Simulation, other: Simulation) -> bool:
    first, same = jax.tree.flatten(one.replace(key=None))
    second, structure = jax.tree.flatten(other.replace(key=None))
    if same != structure:
        return False
    return all(x is y or np.array_equal(x, y, equal_nan=True) for x, y in zip(first, second, strict=True))


def mixture(weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the covariance of a mixture.

    Args:
      weights: f[K], probabilities.
      means: f[K, E, P].
      covariances: f[K, E, P, P].

    >>> mean, covariance = mixture(np.array([0.5, 0.5]), np.array([[[1.0]], [[3.0]]]), np.zeros((2, 1, 1, 1)))
    >>> mean.item(), covariance.item()
    (2.0, 1.0)
    """
    mean = np.tensordot(weights, means, 1)
    apart = means - mean
    return mean, np.tensordot(weights, covariances, 1) + np.einsum("k,kei,kej->eij", weights, apart, apart)
