"""The columns of a history that are quadratic functions of the models, and their mean and variance."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jdl.engine import metrics
from jdl.engine.sim import Simulation
from jdl.types import PyTree

__all__ = ["Quadratics", "quadratic_columns"]

# Beyond rounding in float32, relative to the size of the terms; what is not quadratic lies far above.
ROUNDING = 1e-5
# Statistics over nodes that have no derivative where nodes agree.
NEVER = ("std_", "worst_", "best_")


class Quadratics(NamedTuple):
    """Columns `y' H y / 2 + g' y + c` of the models y, stacked.

    Attributes:
      names: the name of each column.
      H: f[columns, P, P].
      g: f[columns, P].
      c: f[columns].
    """

    names: tuple[str, ...]
    H: np.ndarray
    g: np.ndarray
    c: np.ndarray

    def moments(self, mean: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The mean and the variance of each column, f[columns], of normally distributed models.

        Args:
          mean: f[P], the mean of the models.
          covariance: f[P, P].
        """
        slope = self.H @ mean + self.g
        spread = self.H @ covariance
        expected = self.c + (slope + self.g) @ mean / 2 + np.trace(spread, axis1=1, axis2=2) / 2
        variance = np.einsum("kij,kji->k", spread, spread) / 2 + np.einsum("ki,ij,kj->k", slope, covariance, slope)
        return expected, np.maximum(variance, 0)


def quadratic_columns(s: Simulation, like: PyTree) -> Quadratics:
    """The built-in columns that are quadratic: those of a quadratic loss, and the consensus distance.

    Args:
      s: the simulation in double precision.
      like: the shapes of the models of all nodes, stacked.
    """
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape[1:], jnp.float64), like)
    rows = jax.tree.leaves(like)[0].shape[0]
    _, one_model = jax.flatten_util.ravel_pytree(zeros)
    honest = s.who.honest if s.metrics.honest_only else None
    names: list[str] = []

    @jax.jit
    def values(y):
        row = metrics.measure(jax.vmap(one_model)(y.reshape(rows, -1)), s.problem, honest=honest)
        scalars = {name: value for name, value in row.items() if value.ndim == 0 and not name.startswith(NEVER)}
        names[:] = scalars
        return jnp.stack([*scalars.values()])

    size = rows * sum(leaf.size for leaf in jax.tree.leaves(zeros))
    points = np.random.default_rng(0).normal(size=(3, size))
    slopes = jax.jacrev(values)
    H, g = map(np.asarray, jax.jit(lambda y: (jax.jacfwd(slopes)(y), slopes(y)))(points[0]))
    c = np.asarray(values(points[0])) - g @ points[0] + np.einsum("kij,i,j->k", H, points[0], points[0]) / 2
    g = g - H @ points[0]
    kept = np.ones(len(names), bool)
    for y in points[1:]:
        seen, terms = np.asarray(values(y)), np.stack([H @ y @ y / 2, g @ y, c])
        kept &= np.abs(seen - terms.sum(axis=0)) <= ROUNDING * np.abs(terms).max(axis=0)
    return Quadratics(tuple(name for name, keep in zip(names, kept, strict=True) if keep), H[kept], g[kept], c[kept])
