"""Noise that differs from neighbour to neighbour and cancels in the mean of the network."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks, tree
from jdl import plan as plans
from jdl.exchange.linear import Linear
from jdl.exchange.private import clipping
from jdl.types import Delivery, Dense, Exchange, ExchangeState, Key, Message, Plan, Slots, Wire, number

__all__ = ["ZipDL"]


@struct.dataclass
class ZipDL:
    """ZIP-DL: each neighbour gets noise of its own, and the weighted sum of a sender's noises is zero.

    Node i sends x_i + Z_ij to neighbour j and keeps x_i + Z_ii, with normal Z of standard deviation sigma projected so
    that sum_j W_ji Z_ij = 0 over its neighbours and itself. So the mean of the network stays as it is, and a neighbour
    alone receives noise of variance sigma^2 (1 - W_ji^2 / sum_l W_li^2). Whole numbers stay as they are.

    Sends:
      a noisy message, in full even behind a codec, a different one on each link of the plan.

    Memory:
      none between rounds; within a round a message for each link.

    Args:
      sigma: the standard deviation of the noise before it is projected, at least 0.
      inner: the exchange that receives the messages next.

    Raises:
      InputError: after an exchange that gives a sender several messages in a round.

    References:
      Biswas, Frey, Gaudel, Kermarrec, Lereverend, Pires, Sharma, Taiani 2025, Low-Cost Privacy-Preserving Decentralized
      Learning (ZIP-DL).
    """

    sigma: float = number(0.1, minimum=0)
    inner: Exchange = Linear()

    # Of a lost message, the noise would not cancel.
    needs: ClassVar[frozenset[str]] = frozenset({"peers", "one_by_one", "reliable", "at_once"})
    breaks: ClassVar[frozenset[str]] = frozenset({"exact", "column_stochastic", "push", "per_link"})
    noisy: ClassVar[bool] = True  # parts of a message draw apart, see `jdl.exchange.apart.key_of_part`

    def init(self, message: Message) -> ExchangeState:
        return self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        here, inside = jax.random.split(key)
        plan = _in_slots(wire.plan)
        links, who, ids = plan.links, plan.links.senders, plans.ids(plan)
        got, need = f"got {wire.bits.shape[0]} messages of {plans.rows(plan)} nodes", "need one of each"
        checks.require(wire.bits.shape[0] == plans.rows(plan), f"{got}, {need}; put ZipDL first in the network")
        weights, m, k = jnp.where(links.used, links.weights, 0), plans.rows(plan), links.weights.shape[1]
        of_link = jax.vmap(lambda i, j: jax.random.fold_in(jax.random.fold_in(here, i), j))

        def drawn(slot: int | jax.Array) -> Message:
            """The noise of the message that each row receives in a slot, before it is projected."""
            return clipping.noise_like(wire.own, of_link(ids, ids[who[:, slot]]))

        def total(slot: jax.Array, sums: Message) -> Message:
            by = lambda x, z: x.at[who[:, slot]].add(tree.column(weights[:, slot].astype(z.dtype), z) * z)
            return jax.tree.map(by, sums, drawn(slot))

        kept = clipping.noise_like(wire.own, of_link(ids, ids))
        scaled = lambda z: tree.column(plan.self_weights.astype(z.dtype), z) * z
        sums = jax.lax.fori_loop(np.int32(0), np.int32(k), total, jax.tree.map(scaled, kept))
        square = jnp.square(plan.self_weights).at[who].add(jnp.square(weights))
        along = jax.tree.map(lambda x: x / tree.column(jnp.where(square > 0, square, 1).astype(x.dtype), x), sums)

        def projected(z: Message, weight: jax.Array, rows: jax.Array | None) -> Message:
            off = lambda z, a: z - tree.column(weight.astype(z.dtype), z) * a
            return jax.tree.map(off, z, tree.take_rows(along, rows))

        def to_slot(_: None, slot: jax.Array) -> tuple[None, Message]:
            rows = who[:, slot]
            noise = projected(drawn(slot), weights[:, slot], rows)
            return None, clipping.added(tree.take_rows(wire.sent, rows), self.sigma, tree.cast(noise, wire.sent))

        own = clipping.added(wire.own, self.sigma, projected(kept, plan.self_weights, None))
        # First the rows as they were, which are not sent on any link, and then those of each slot.
        _, sent = jax.lax.scan(to_slot, None, jnp.arange(k, dtype=jnp.int32))
        flat = lambda x, more: jnp.concatenate([jnp.zeros_like(x), more.reshape(k * m, *x.shape[1:])])
        places = m + jnp.arange(k, dtype=jnp.int32)[None, :] * m + jnp.arange(m, dtype=jnp.int32)[:, None]
        every = lambda x: jnp.concatenate([x, x[who.T].reshape(-1)])
        plan = plan.replace(links=links.replace(senders=jnp.where(links.used, places, who)))
        moved = {"sent": jax.tree.map(flat, wire.sent, sent), "own": own, "plan": plan}
        rest = {"bits": every(clipping.full_bits(wire)), "origin": every(wire.origin)}
        return self.inner.apply(state, wire.replace(**moved, **rest), inside)


def _in_slots(plan: Plan) -> Plan:
    """The same plan with its links in slots, whose senders may be any rows."""
    plan = plans.one_by_one(plan)
    links = plan.links
    if isinstance(links, Slots):
        return plan
    who = plans.senders(links)
    used = links.used & ~jnp.eye(len(who), dtype=bool) if isinstance(links, Dense) else links.used
    return plan.replace(links=Slots(weights=links.weights, used=used, senders=who, arrived=links.arrived))
