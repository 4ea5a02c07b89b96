"""The coordinate-wise trimmed mean."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import tree
from jdl.exchange import sorting
from jdl.exchange.robust.in_order import in_order
from jdl.exchange.robust.rule import ByCoordinate
from jdl.types import static

__all__ = ["TrimmedMean"]


@struct.dataclass
class TrimmedMean(ByCoordinate):
    """Coordinate-wise trimmed mean of the node's own message and those that arrived, in place of the weighted mean.

    For each coordinate, the `trim` smallest and the `trim` largest values are left out; where fewer than 2 trim + 1
    messages arrive, one or two values are left, whose mean is the median. trim = 0 is the unweighted mean. It stands
    last in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none between rounds; within a round every node's k + 1 messages twice, if these are more than 64.

    Args:
      trim: number of values left out at each end; at least the number of attackers among the neighbours.

    References:
      Yin, Chen, Kannan, Bartlett 2018, Byzantine-Robust Distributed Learning, option II.
    """

    trim: int = static(1, minimum=0)

    def of(self, messages: Sequence[jax.Array], arrived: jax.Array) -> jax.Array:
        order = in_order(messages, arrived, jnp.full(arrived.shape, jnp.inf))
        count = jnp.sum(arrived, axis=1, dtype=jnp.int32)
        cut = jnp.minimum(self.trim, (count - 1) // 2)

        def add(rank, sums):
            total, low, high = sums
            kept = tree.column((rank >= cut) & (rank < count - cut), total)
            low = jnp.where(tree.column(rank == cut, total), order[rank], low)
            return total + jnp.where(kept, order[rank], 0), low, jnp.where(kept, order[rank], high)

        start = jnp.zeros((arrived.shape[0], *messages[0].shape[1:]), messages[0].dtype)
        sums = (start, start, start)
        if len(messages) <= sorting.WRITTEN_OUT:
            for rank in range(len(messages)):
                sums = add(rank, sums)
        else:
            sums = jax.lax.fori_loop(np.int32(0), np.int32(len(messages)), add, sums)
        total, low, high = sums
        kept = tree.column(jnp.maximum(count - 2 * cut, 1).astype(total.dtype), total)
        return jnp.where(low == high, low, total / kept)
