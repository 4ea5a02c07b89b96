"""Iterative outlier scissors."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl.exchange.robust.near import Near, from_mixture, usable
from jdl.exchange.robust.rule import ByDistance
from jdl.types import static

__all__ = ["IOS"]


@struct.dataclass
class IOS(ByDistance):
    """Iterative outlier scissors: f times, the message farthest from the weighted mean of those left is cut off.

    sum_j W_ij x_j / sum_j W_ij over the messages that are left, of which the node's own is always one. All arrays of a
    message are one vector. It stands last in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none between rounds; within a round the distances in some neighbourhoods, and the messages of a few nodes.

    Args:
      f: number of messages cut off; the number of attackers among the neighbours.

    References:
      Wu, Chen, Ling 2022, Byzantine-Resilient Decentralized Stochastic Optimization with Robust Aggregation Rules, in
      the weighted form of the code of Gaucher, Dieuleveut, Hendrikx 2025 (`ios.py` of Byzantine-Robust-Gossip).
    """

    f: int = static(1, minimum=0)

    needs: ClassVar[frozenset[str]] = frozenset({"one_by_one", "peers"})
    centred: ClassVar[bool] = True

    def chosen(self, near: Near) -> jax.Array:
        place = jnp.arange(len(near.arrived), dtype=jnp.int32)

        def mean(left):
            weights = jnp.where(left & usable(near), near.weights, 0)
            total = jnp.sum(weights)
            return weights / jnp.where(total > 0, total, 1)

        left = near.arrived
        for _ in range(self.f):
            distance = from_mixture(near.squared, mean(left))
            farthest = jnp.argmax(jnp.where(left & (place > 0), distance, -1)).astype(jnp.int32)
            left = left & ((place != farthest) | (place == 0))
        return mean(left)
