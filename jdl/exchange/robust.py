"""Rules that take the place of the mean and hold against liars among the neighbours."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl.exchange import mixing
from jdl.types import Key, Link, Message, Server, Traffic, Wire

__all__ = ["CoordinateMedian", "coordinate_median"]


@struct.dataclass
class CoordinateMedian:
    """inbox_i = coordinate-wise median of own_i and what arrived, weights ignored."""

    needs: ClassVar[frozenset[str]] = frozenset()
    # A median keeps no mass: sums of messages are not preserved, so x / w of push-sum would mean nothing.
    breaks: ClassVar[frozenset[str]] = frozenset({"column_stochastic"})

    def init(self, message: Message) -> Link:
        return ()

    def apply(self, link: Link, wire: Wire, key: Key) -> tuple[Message, Link, Traffic]:
        inbox = jax.tree.map(lambda own, sent: _median(wire, own, sent), wire.own, wire.sent)
        return inbox, link, mixing.traffic(wire)


def _median(wire: Wire, own: jax.Array, sent: jax.Array) -> jax.Array:
    values, arrived = mixing.neighbourhood(wire.plan, own, sent)
    mask = arrived.reshape(arrived.shape + (1,) * (values.ndim - 2))
    # What did not arrive, and what is no number, sorts behind everything else; only the former is not counted.
    values = jnp.sort(jnp.where(mask & ~jnp.isnan(values), values, jnp.inf), axis=1)
    count = jnp.sum(arrived, axis=1, dtype=jnp.int32)

    def rank(position):
        index = position.reshape((-1,) + (1,) * (values.ndim - 1))
        return jnp.take_along_axis(values, index, axis=1)[:, 0]

    low, high = rank((count - 1) // 2), rank(count // 2)
    middle = low + (high - low) / 2  # exact where both are equal, and no overflow where both are large
    if isinstance(wire.plan.links, Server):
        return jnp.where(count[0] > 0, middle[0], 0)  # nothing arrived: the aggregate change is zero
    return middle


def coordinate_median() -> CoordinateMedian:
    """Coordinate-wise median of the closed neighbourhood in place of the weighted mean.

    Sends: the message, as it is, on every link of the plan. Innermost: put it last in the network.
    Memory: every node's k + 1 messages at once.

    References: Yin, Chen, Kannan, Bartlett 2018, Byzantine-Robust Distributed Learning, option I.
    """
    return CoordinateMedian()
