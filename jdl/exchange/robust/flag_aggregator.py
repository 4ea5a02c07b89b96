"""The mean of changes, projected on a subspace that most of them are close to."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.exchange.robust.combine import combined
from jdl.exchange.robust.rule import Rule
from jdl.types import Key, Plan, static

__all__ = ["FlagAggregator"]

# Added to the squared sines, so that a message in the subspace has a weight; that of the public code.
SMALL = 1e-7


@struct.dataclass
class FlagAggregator(Rule):
    """Flag aggregator: a server's mean of changes, projected on the flag median, a subspace that most are close to.

    sum_i Y Y' x_i / m over the m changes that arrived, with orthonormal columns Y. These nearly minimise the sum of the
    sines of the angles between the changes and the subspace, by least squares that are weighted anew: Y holds the first
    left singular vectors of the matrix with columns (1 - ||Y' u_i||^2 + 1e-7)^(-1/4) u_i, where u_i = x_i / ||x_i||,
    and in the beginning of that with columns u_i. `normalised`, all changes count with their median length, so that a
    long lie weighs no more than others; without, their lengths count, and with as many dimensions as changes it is
    their mean. All arrays of a message are one vector. The clients'
    weights are ignored. It stands last in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none between rounds; within a round a copy of the messages, and m^2 cosines.

    Args:
      dimensions: number of dimensions of the subspace; at least the number of independent honest directions.
      iterations: how often the weights are computed anew; 0 projects on the principal components.
      normalised: whether u_i times the median length of the changes are averaged in place of x_i.

    References:
      Almasi, Mishra, Vamanan, Ravi 2023, Flag Aggregator, read in public copies of the authors' code. It normalises the
      changes, begins at random, takes one iteration, and divides the sum by the number of dimensions, not by m: its
      result is m / (dimensions times the median length) times that of `normalised`.
    """

    dimensions: int = static(1, minimum=1)
    iterations: int = static(3, minimum=0)
    normalised: bool = static(True)

    needs: ClassVar[frozenset[str]] = frozenset({"one_by_one", "server"})

    def received(self, plan: Plan, own: list[jax.Array], sent: list[jax.Array], key: Key) -> list[jax.Array]:
        dtype = jnp.dtype("float64") if any(x.dtype == "float64" for x in own) else jnp.dtype("float32")
        flat = [x.reshape(x.shape[0], -1).astype(dtype) for x in sent]
        norms = jnp.sqrt(sum(jnp.sum(x * x, axis=1) for x in flat))
        there = (plan.links.weights != 0) & jnp.isfinite(norms)
        lengths = jnp.where(there & (norms > 0), norms, 1)
        units = [tree.where_rows(there, x, jnp.zeros((), dtype)) / lengths[:, None] for x in flat]
        cosines = sum(jnp.einsum("id,jd->ij", x, x, precision="highest") for x in units)
        median = jnp.nanmedian(jnp.where(there, norms, jnp.nan))
        averaged = jnp.where(there, median if self.normalised else norms, 0).astype(dtype)
        averaged = averaged / jnp.maximum(jnp.sum(there, dtype=dtype), 1)
        chosen = self._projection(cosines) @ (cosines @ averaged) / lengths
        chosen = jnp.where(there, chosen, 0)  # eigenvectors have rounding where a row is zero
        return combined(plan, own, sent, chosen[None])

    def _projection(self, cosines: jax.Array) -> jax.Array:
        """B: f[s, s] with Y Y' = sum_ij B_ij u_i u_j', from the inner products of the u_i; no vector is needed."""
        weights = jnp.ones(len(cosines), cosines.dtype)
        for turn in range(self.iterations + 1):
            values, vectors = jnp.linalg.eigh(weights[:, None] * cosines * weights[None, :])
            values, vectors = values[-self.dimensions :], vectors[:, -self.dimensions :]
            rounding = len(cosines) * jnp.finfo(cosines.dtype).eps * values[-1]
            inverse = jnp.where(values > rounding, 1 / jnp.where(values > rounding, values, 1), 0)
            basis = weights[:, None] * vectors
            projection = (basis * inverse[None, :]) @ basis.T
            if turn < self.iterations:
                inside = jnp.sum(cosines * (projection @ cosines), axis=0)
                weights = (jnp.maximum(jnp.diagonal(cosines) - inside, 0) + SMALL) ** -0.25
        return projection
