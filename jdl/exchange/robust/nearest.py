"""Nearest-neighbour mixing."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.exchange.robust.near import mean_of, smallest
from jdl.exchange.robust.pre import PreAggregation
from jdl.exchange.robust.rule import Rule
from jdl.exchange.robust.trimmed import TrimmedMean
from jdl.types import static

__all__ = ["NearestNeighbourMixing"]


@struct.dataclass
class NearestNeighbourMixing(PreAggregation):
    """Nearest-neighbour mixing: each message becomes the mean of the m - f nearest, before another rule is applied.

    The messages are the node's own and those that arrived, m in all; a message is nearest to itself, so that at least
    this one is kept. All arrays of a message are one vector. It stands last in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none between rounds; within a round the distances in some neighbourhoods, and twice the messages of a few nodes.

    Args:
      f: number of attackers among the messages.
      rule: the rule that is given the means.

    Raises:
      InputError: if the rule remembers, or measures from the node's own message.

    References:
      Allouah, Farhadkhani, Guerraoui, Gupta, Pinot, Stephan 2023, Fixing by Mixing, algorithm 2 (NNM).
    """

    f: int = static(1, minimum=0)
    rule: Rule = TrimmedMean()

    def mixed(self, squared: jax.Array, there: jax.Array, drawn: jax.Array) -> tuple[jax.Array, jax.Array]:
        k = len(there)
        count = jnp.maximum(jnp.sum(there, dtype=jnp.int32) - self.f, 1)
        itself = jnp.eye(k, dtype=bool)
        nearest = smallest(jnp.where(itself, -1, squared), jnp.broadcast_to(there[None, :], (k, k)), count)
        return mean_of(nearest & there[:, None], squared), there
