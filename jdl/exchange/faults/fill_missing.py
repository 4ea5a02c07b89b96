"""Receivers that put their own numbers in place of those that were not sent."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import plan as plans
from jdl import tree
from jdl.engine import xla
from jdl.exchange import mixing
from jdl.exchange.mixing.slots import heard
from jdl.types import Delivery, Dense, ExchangeState, Key, Message, Plan, Wire

__all__ = ["FillMissing"]


@struct.dataclass
class FillMissing:
    """Partial messages: where a number was left out, the receiver puts its own in place of zero.

    inbox_i = own_i + sum_j W_ij m_j (sent_j - own_i), coordinate by coordinate, with m_j = 1 where j sent the number
    and 0 where it did not: a weighted mean whose rows sum to one in every coordinate. The mean over the nodes is not
    kept, for i may hear of a coordinate of j while j does not hear of that of i.

    It comes last, behind a codec that leaves numbers out and does not scale the others, such as `TopK` or `RandK`:
    `[TopK(0.1), FillMissing()]`. What decodes to exactly zero counts as left out, so that a zero that was sent is taken
    for one that was not. Without zeros it is plain gossip. `Each` and `PerLink` parts arrive as they are.

    Sends:
      the message, as it is, on every link of the plan.

    References:
      The code of DecentralizePy (`sharing/PartialModel.py`, read), where a receiver overwrites its own model at the
      indices that arrived, before it averages.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "one_by_one", "at_once"})
    # Who is heard differs from coordinate to coordinate, and only rows keep their sums. Links still go both ways.
    breaks: ClassVar[frozenset[str]] = frozenset({"doubly_stochastic", "column_stochastic", "push"})

    def init(self, message: Message) -> ExchangeState:
        return ()

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        return mixing.inboxes(wire, _filled), state, mixing.delivered(wire)


def _filled(plan: Plan, own: Message, sent: Message) -> Message:
    """The mean of plain parts in which zeros are the receiver's own numbers."""
    mixing.require_real(own)
    links = plans.one_by_one(plan).links

    def mean(own: jax.Array, sent: jax.Array) -> jax.Array:
        sent = sent.astype(own.dtype)

        def add(slot: int | jax.Array, total: jax.Array) -> jax.Array:
            message = sent[slot][None] if isinstance(links, Dense) else heard(links, sent, slot)
            weight = tree.column(links.weights[:, slot].astype(own.dtype), own)
            # A weight of zero gives zero, even if the message is NaN.
            return total + jnp.where((weight != 0) & (message != 0), weight * (message - own), 0)

        return xla.accumulate(links.weights.shape[1], add, own)

    return jax.tree.map(mean, own, sent)
