"""The coordinate-wise median."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.exchange.robust.in_order import in_order
from jdl.exchange.robust.rule import ByCoordinate

__all__ = ["CoordinateMedian"]


@struct.dataclass
class CoordinateMedian(ByCoordinate):
    """Coordinate-wise median of the node's own message and those that arrived, in place of the weighted mean.

    The weights of W are ignored. It stands last in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none between rounds; within a round every node's k + 1 messages twice, if these are more than 64.

    References:
      Yin, Chen, Kannan, Bartlett 2018, Byzantine-Robust Distributed Learning, option I.
    """

    def of(self, messages: Sequence[jax.Array], arrived: jax.Array) -> jax.Array:
        # Of what did not arrive, every second one ranks first and the others last. So the median stays in the middle,
        # however many are missing, and the comparisons that only settle other ranks are never computed.
        missing = jnp.cumsum(~arrived, axis=1, dtype=jnp.int32)
        order = in_order(messages, arrived, jnp.where(missing % 2 == 1, jnp.inf, -jnp.inf))
        count, first = arrived.shape[1] - missing[:, -1], missing[:, -1] // 2
        middle = len(messages) // 2
        low, high = (
            jnp.where(tree.column(first + rank == middle, order[0]), order[middle], order[max(middle - 1, 0)])
            for rank in ((count - 1) // 2, count // 2)
        )
        return jnp.where(low == high, low, 0.5 * low + 0.5 * high)  # exact, and no overflow, where both are equal
