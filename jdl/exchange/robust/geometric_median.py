"""The geometric median."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl.exchange.robust.near import Near, from_mixture, usable
from jdl.exchange.robust.rule import ByDistance
from jdl.types import number, static

__all__ = ["GeometricMedian"]


@struct.dataclass
class GeometricMedian(ByDistance):
    """RFA: the weighted geometric median of the node's own message and those that arrived, by Weiszfeld's iterations.

    z <- sum_j b_j x_j / sum_j b_j with b_j = w_j / max(nu, ||x_j - z||), from the weighted mean on. All arrays of a
    message are one vector. The weights w are those of W, or of the clients; negative ones count as zero. It stands last
    in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none between rounds; within a round the distances in some neighbourhoods, and the messages of a few nodes.

    Args:
      iterations: number of iterations, each of which costs little: only distances are read.
      nu: the smallest distance that is divided by, > 0 and in the unit of messages. Far above all distances it is the
        weighted mean.

    References:
      Pillutla, Kakade, Harchaoui 2019, Robust Aggregation for Federated Learning, algorithm 2 (smoothed Weiszfeld).
    """

    iterations: int = static(8, minimum=0)
    nu: float = number(1e-6, minimum=0)

    def chosen(self, near: Near) -> jax.Array:
        weights = jnp.where(usable(near), jnp.maximum(near.weights, 0), 0)
        nu = jnp.maximum(jnp.asarray(self.nu, weights.dtype), jnp.finfo(weights.dtype).tiny)

        def normalised(x):
            total = jnp.sum(x)
            return x / jnp.where(total > 0, total, 1)

        def step(_, mixture):
            distance = jnp.sqrt(jnp.maximum(from_mixture(near.squared, mixture), nu * nu))
            return normalised(weights / jnp.maximum(distance, nu))

        return jax.lax.fori_loop(np.int32(0), np.int32(self.iterations), step, normalised(weights))
