"""UBAR: neighbours that are near, and of these those whose models are good on the node's own data."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import plan as plans
from jdl import tree
from jdl.exchange import mixing
from jdl.exchange.robust.combine import combined
from jdl.exchange.robust.distances import each_row
from jdl.exchange.robust.heard import heard
from jdl.exchange.robust.near import Near, ranks, usable
from jdl.types import Delivery, ExchangeState, Key, Message, Plan, Wire, number, static

__all__ = ["UBAR"]


@struct.dataclass
class UBAR:
    """UBAR: of the nearest neighbours, the mean of those whose models have no larger loss than the node's own.

    alpha x_i + (1 - alpha) mean_{j in A_i} x_j. A node first keeps the rho m of the m messages that arrived that are
    nearest to its own, rounded down, and at least one. A_i are those of them whose loss on minibatch 0 of this round of
    the node's own data is at most that of the node's own model; if there are none, the one with the least loss. So a
    node that is far worse than all others still moves. A node that hears nobody, or nothing finite, keeps its own. The
    weights of W are ignored. It stands last in the network, and is for methods whose messages are models.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none between rounds; within a round one more message for each node, and rho k + 1 losses of each.

    Args:
      rho: share of the neighbours that are kept by distance, 0 to 1; that of the honest ones.
      alpha: weight of the node's own message, 0 to 1.

    References:
      Guo, Zhang, Yu, Xie, Ma, Xiang, Liu 2020, Byzantine-Resilient Decentralized Stochastic Gradient Descent, read in
      the code of Murmura (`murmura/aggregation/ubar.py` of Cloudslab/murmura), whose defaults are these.
    """

    rho: float = static(0.4, minimum=0, maximum=1)
    alpha: float = number(0.5, minimum=0, maximum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"one_by_one", "peers", "models"})
    breaks: ClassVar[frozenset[str]] = frozenset({"column_stochastic", "per_link", "push"})

    def init(self, message: Message) -> ExchangeState:
        return ()

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        def rule(plan: Plan, own: Message, sent: Message) -> Message:
            mixing.require_real(own)
            plan = plans.one_by_one(plan)
            who = heard(plan).who
            most = self._kept(who.shape[1] - 1)
            if not most:
                return own
            slots, there = each_row(lambda near: self._nearest(near, most), plan, own, sent, pairs=False)
            rows = jnp.take_along_axis(who, slots, axis=1)

            def loss(place: jax.Array) -> jax.Array:
                """The loss of the neighbour at this place of each row, one message a row; of none, of its own model."""
                here = rows[:, place]
                models = [
                    tree.where_rows(there[:, place], y.at[here].get(mode="promise_in_bounds").astype(x.dtype), x)
                    for x, y in zip(own, sent, strict=True)
                ]
                return wire.losses(models)

            theirs = jax.lax.map(loss, jnp.arange(most, dtype=jnp.int32)).T
            passed = _accepted(wire.losses(own)[:, None], theirs, there)
            count = jnp.sum(passed, axis=1, keepdims=True, dtype=plan.self_weights.dtype)
            each = (1 - jnp.asarray(self.alpha, count.dtype)) / jnp.maximum(count, 1)
            others = jnp.where(passed, each, 0)
            of_slot = slots[:, :, None] == jnp.arange(who.shape[1], dtype=jnp.int32)[None, None]
            chosen = jnp.sum(jnp.where(of_slot, others[:, :, None], 0), axis=1)
            return combined(plan, own, sent, chosen.at[:, 0].set(1 - jnp.sum(chosen, axis=1)))

        return mixing.inboxes(wire, rule), state, mixing.delivered(wire)

    def _kept(self, neighbours: int) -> int:
        """The number of neighbours that are kept by distance."""
        return min(neighbours, max(int(self.rho * neighbours + 1e-6), 1))

    def _nearest(self, near: Near, most: int) -> tuple[jax.Array, jax.Array]:
        """The places of the nearest messages in ascending order, i32[most], and which of them are kept."""
        kept = [self._kept(m) for m in range(len(near.arrived))]  # by the number of messages that arrived
        count = jnp.asarray(kept, jnp.int32)[jnp.sum(near.arrived, dtype=jnp.int32) - 1]
        others = usable(near).at[0].set(False)
        order = ranks(jnp.where(others, near.base, jnp.inf))
        place = jnp.arange(most, dtype=jnp.int32)
        slots = jnp.argmax(order[None, :] == place[:, None], axis=1).astype(jnp.int32)
        return slots, (place < count) & others[slots]


def _accepted(mine: jax.Array, theirs: jax.Array, there: jax.Array) -> jax.Array:
    """bool[m, k], who has no larger loss than the node itself, or else the one with the least; NaN is never accepted.

    Args:
      mine: f[m, 1], the loss of each node's own model.
      theirs: f[m, k], the losses of its neighbours.
      there: bool[m, k], which neighbours there are.
    """
    known = there & ~jnp.isnan(theirs)
    passed = known & (theirs <= mine)
    least = jnp.argmin(jnp.where(known, theirs, jnp.inf), axis=1).astype(jnp.int32)
    first = (jnp.arange(theirs.shape[1], dtype=jnp.int32)[None] == least[:, None]) & known
    return jnp.where(jnp.any(passed, axis=1, keepdims=True), passed, first)
