"""Rules that take the place of the mean and hold against liars among the neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import tree
from jdl.exchange import mixing, sorting
from jdl.types import Delivery, ExchangeState, Key, Message, Plan, Server, Wire, static

__all__ = ["CoordinateMedian", "TrimmedMean"]


@struct.dataclass
class CoordinateMedian:
    """Coordinate-wise median of the node's own message and those that arrived, in place of the weighted mean.

    The weights of W are ignored. It stands last in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none between rounds; within a round, if they are more than 64, every node's k + 1 messages twice.

    References:
      Yin, Chen, Kannan, Bartlett 2018, Byzantine-Robust Distributed Learning, option I.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"one_by_one"})
    # A median keeps no mass: sums of messages are not preserved, so x / w of push-sum would mean nothing.
    breaks: ClassVar[frozenset[str]] = frozenset({"column_stochastic", "per_link", "push"})

    def init(self, message: Message) -> ExchangeState:
        return ()

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        return mixing.inboxes(wire, _medians), state, mixing.delivered(wire)


def _medians(plan: Plan, own: Message, sent: Message) -> Message:
    return jax.tree.map(lambda own, sent: _median(plan, own, sent), own, sent)


def _median(plan: Plan, own: jax.Array, sent: jax.Array) -> jax.Array:
    mixing.require_real(own)
    messages, arrived = mixing.neighbourhood(plan, own, sent)
    # Of what did not arrive, every second one ranks first and the others last. So the median stays in the middle,
    # however many are missing, and the comparisons that only settle other ranks are never computed.
    missing = jnp.cumsum(~arrived, axis=1, dtype=jnp.int32)
    order = _in_order(messages, arrived, jnp.where(missing % 2 == 1, jnp.inf, -jnp.inf))
    count, first = arrived.shape[1] - missing[:, -1], missing[:, -1] // 2
    middle = len(messages) // 2
    low, high = (
        jnp.where(tree.column(first + rank == middle, own), order[middle], order[max(middle - 1, 0)])
        for rank in ((count - 1) // 2, count // 2)
    )
    middle = jnp.where(low == high, low, 0.5 * low + 0.5 * high)  # exact, and no overflow, where both are equal
    return _inbox(plan, count, middle)


@struct.dataclass
class TrimmedMean:
    """Coordinate-wise trimmed mean of the node's own message and those that arrived, in place of the weighted mean.

    Of each coordinate the `trim` smallest and the `trim` largest values are left out; where fewer than 2 trim + 1
    messages arrive, as many as leave one or two values, so that it is the median. trim = 0 is the unweighted mean. It
    stands last in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none between rounds; within a round, if they are more than 64, every node's k + 1 messages twice.

    Args:
      trim: number of values left out at each end; at least the number of attackers among the neighbours.

    References:
      Yin, Chen, Kannan, Bartlett 2018, Byzantine-Robust Distributed Learning, option II.
    """

    trim: int = static(1, minimum=0)

    needs: ClassVar[frozenset[str]] = frozenset({"one_by_one"})
    breaks: ClassVar[frozenset[str]] = frozenset({"column_stochastic", "per_link", "push"})

    def init(self, message: Message) -> ExchangeState:
        return ()

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        def rule(plan: Plan, own: Message, sent: Message) -> Message:
            return jax.tree.map(lambda own, sent: _trimmed(plan, own, sent, self.trim), own, sent)

        return mixing.inboxes(wire, rule), state, mixing.delivered(wire)


def _trimmed(plan: Plan, own: jax.Array, sent: jax.Array, trim: int) -> jax.Array:
    mixing.require_real(own)
    messages, arrived = mixing.neighbourhood(plan, own, sent)
    order = _in_order(messages, arrived, jnp.full(arrived.shape, jnp.inf))
    count = jnp.sum(arrived, axis=1, dtype=jnp.int32)
    cut = jnp.minimum(trim, (count - 1) // 2)

    def add(rank, sums):
        total, low, high = sums
        kept = tree.column((rank >= cut) & (rank < count - cut), own)
        low = jnp.where(tree.column(rank == cut, own), order[rank], low)
        return total + jnp.where(kept, order[rank], 0), low, jnp.where(kept, order[rank], high)

    start = jnp.zeros((arrived.shape[0], *own.shape[1:]), own.dtype)
    sums = (start, start, start)
    if len(messages) <= sorting.WRITTEN_OUT:
        for rank in range(len(messages)):
            sums = add(rank, sums)
    else:
        sums = jax.lax.fori_loop(np.int32(0), np.int32(len(messages)), add, sums)
    total, low, high = sums
    kept = tree.column(jnp.maximum(count - 2 * cut, 1).astype(own.dtype), own)
    return _inbox(plan, count, jnp.where(low == high, low, total / kept))


def _in_order(messages: Sequence[jax.Array], arrived: jax.Array, missing: jax.Array) -> Sequence[jax.Array]:
    """The messages of each row in ascending order, coordinate by coordinate.

    Args:
      messages: for each of k slots the message of every row, f[m, ...] or f[1, ...].
      arrived: bool[m, k], which of them arrived.
      missing: f[m, k], the infinity that stands for what did not arrive.
    """
    missing = missing.astype(messages[0].dtype)

    def ranked(message: jax.Array, arrived: jax.Array, missing: jax.Array) -> jax.Array:
        arrived, missing = (x.reshape(*x.shape, *(1,) * (message.ndim - x.ndim)) for x in (arrived, missing))
        # What is no number ranks behind everything else, and is counted.
        return jnp.where(arrived & ~jnp.isnan(message), message, jnp.where(arrived, jnp.inf, missing))

    if len(messages) <= sorting.WRITTEN_OUT:
        return sorting.in_order([ranked(message, arrived[:, i], missing[:, i]) for i, message in enumerate(messages)])
    if not isinstance(messages, jax.Array):
        messages = jnp.stack(jnp.broadcast_arrays(*messages))
    return sorting.in_order(ranked(messages, arrived.T, missing.T))


def _inbox(plan: Plan, count: jax.Array, result: jax.Array) -> jax.Array:
    if isinstance(plan.links, Server):
        return jnp.where(count[0] > 0, result[0], 0)  # nothing arrived: the aggregate change is zero
    return result
