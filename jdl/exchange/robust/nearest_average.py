"""Nearest-neighbour averaging."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl.exchange.robust.near import Near, mean_of, smallest
from jdl.exchange.robust.rule import ByDistance
from jdl.types import static

__all__ = ["NearestNeighbourAveraging"]


@struct.dataclass
class NearestNeighbourAveraging(ByDistance):
    """MoNNA's rule: the mean of the m - f messages nearest to the node's own, which is one of them.

    m counts the node's own message and those that arrived; at least the node's own is kept. All arrays of a message are
    one vector. The weights of W are ignored. It stands last in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none between rounds; within a round the messages of a few nodes.

    Args:
      f: number of messages left out; the number of attackers among the neighbours.

    References:
      Farhadkhani, Guerraoui, Gupta, Hoang, Pinot, Stephan 2023, Robust Collaborative Learning with Linear Gradient
      Overhead, read in ByzFL's `MoNNA`.
    """

    f: int = static(1, minimum=0)

    needs: ClassVar[frozenset[str]] = frozenset({"one_by_one", "peers"})
    pairs: ClassVar[bool] = False
    centred: ClassVar[bool] = True

    def chosen(self, near: Near) -> jax.Array:
        count = jnp.maximum(jnp.sum(near.arrived, dtype=jnp.int32) - self.f, 1)
        return mean_of(smallest(near.base, near.arrived, count), near.base)
