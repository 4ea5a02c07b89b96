"""The mean around the median, coordinate by coordinate."""

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

__all__ = ["Meamed", "around_median"]


def around_median(messages: Sequence[jax.Array], arrived: jax.Array, left_out: int) -> jax.Array:
    """For each coordinate, the mean of all values but the `left_out` farthest from the median, or the median.

    The nearest values stand side by side in ascending order. So of the `left_out` + 1 places where they may begin, the
    one is taken whose ends are closest to the median.
    """
    order = in_order(messages, arrived, jnp.full(arrived.shape, jnp.inf))
    count = jnp.sum(arrived, axis=1, dtype=jnp.int32)
    keep = jnp.maximum(count - left_out, 2 - count % 2)
    median = _at(order, (count - 1) // 2) / 2 + _at(order, count // 2) / 2
    begin, best = jnp.zeros(median.shape, jnp.int32), jnp.full(median.shape, jnp.inf, median.dtype)
    for place in range(min(left_out, len(order) - 1) + 1):
        farthest = jnp.maximum(median - order[place], _at(order, place + keep - 1) - median)
        better = tree.column(place + keep <= count, median) & (farthest < best)
        begin, best = jnp.where(better, place, begin), jnp.where(better, farthest, best)
    end = begin + tree.column(keep, median)

    def add(rank, total):
        return total + jnp.where((rank >= begin) & (rank < end), order[rank], 0)

    total = jnp.zeros_like(median)
    if len(order) <= sorting.WRITTEN_OUT:
        for rank in range(len(order)):
            total = add(rank, total)
    else:
        total = jax.lax.fori_loop(np.int32(0), np.int32(len(order)), add, total)
    return total / tree.column(keep.astype(median.dtype), median)


def _at(order: Sequence[jax.Array], rank: jax.Array) -> jax.Array:
    """The values of rank `rank: i32[m]` of each row."""
    if not isinstance(order, Sequence):
        row = jnp.arange(rank.shape[0], dtype=jnp.int32)
        return order[jnp.minimum(rank, len(order) - 1), row if order.shape[1] > 1 else 0]
    value = order[0]
    for i, other in enumerate(order[1:], 1):
        value = jnp.where(tree.column(rank == i, value), other, value)
    return value


@struct.dataclass
class Meamed(ByCoordinate):
    """Mean around the median: for each coordinate, the mean of all values but the f farthest from their median.

    The values are the node's own and those that arrived. If f leaves no value, or one of two, it is the median. The
    weights of W are ignored. It stands last in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none between rounds; within a round every node's k + 1 messages twice, if these are more than 64.

    Args:
      f: number of values left out; the number of attackers among the messages.

    References:
      Xie, Koyejo, Gupta 2018, Generalized Byzantine-tolerant SGD, definition 8 (mean around median).
    """

    f: int = static(1, minimum=0)

    def of(self, messages: Sequence[jax.Array], arrived: jax.Array) -> jax.Array:
        return around_median(messages, arrived, self.f)
