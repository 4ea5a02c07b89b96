"""Noise that pairs of neighbours share and that cancels between them."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import plan as plans
from jdl import tree
from jdl.exchange.linear import Linear
from jdl.exchange.private import clipping
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire, number

__all__ = ["Decor"]


@struct.dataclass
class Decor:
    """DECOR: noise from seeds that two neighbours share, with opposite signs, and some noise of a node's own.

    Node i mixes and sends x_i min(1, C / ||x_i||) + sum_j v_ij + u_i, over its neighbours j of the round, with
    v_ij = -v_ji ~ N(0, correlated^2 I) and u_i ~ N(0, independent^2 I). In the mean of the network the v cancel, and
    the noise is that of u; a node that reads all messages knows its own seeds alone, see `jdl.privacy.decor_mu`. Whole
    numbers stay as they are.

    Sends:
      the noisy message, in full even behind a codec, on every link of the plan. That seeds are agreed on is not
      counted.

    Args:
      independent: the standard deviation of a node's own noise, at least 0.
      correlated: the standard deviation of the noise of a pair, at least 0.
      clip: C, the largest norm of a message, over all of its arrays.
      inner: the exchange that receives the messages next.

    References:
      Allouah, Koloskova, El Firdoussi, Jaggi, Guerraoui 2024, The Privacy Power of Correlated Noise in Decentralized
      Learning.
    """

    independent: float = number(0.1, minimum=0)
    correlated: float = number(1.0, minimum=0)
    clip: float = number(np.inf, minimum=0)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "one_by_one", "symmetric"})
    breaks: ClassVar[frozenset[str]] = frozenset({"exact", "column_stochastic", "push", "per_link"})
    noisy: ClassVar[bool] = True  # parts of a message draw apart, see `jdl.exchange.apart.key_of_part`

    def init(self, message: Message) -> ExchangeState:
        return self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        alone, together, inside = jax.random.split(key, 3)
        plan = plans.one_by_one(wire.plan)
        ids, who = plans.ids(plan), plans.senders(plan.links)
        fold = jax.vmap(lambda low, high: jax.random.fold_in(jax.random.fold_in(together, low), high))

        def shared(slot: jax.Array, sums: Message) -> Message:
            """Add the noise that each row shares with the row of its slot, with the sign of the order of the two."""
            other = ids[who[:, slot]]
            noise = clipping.noise_like(wire.own, fold(jnp.minimum(ids, other), jnp.maximum(ids, other)))
            sign = jnp.where(plan.links.used[:, slot], jnp.sign(other - ids), 0)
            return jax.tree.map(lambda x, z: x + tree.column(sign.astype(x.dtype), x) * z, sums, noise)

        zeros = tree.zeros_like(wire.own)
        pairs = jax.lax.fori_loop(np.int32(0), np.int32(who.shape[1]), shared, zeros)
        single = clipping.noise_like(wire.own, clipping.keys_of(alone, ids))

        def noisy(message: Message) -> Message:
            message = clipping.clipped(message, self.clip)
            message = clipping.added(message, self.correlated, tree.cast(pairs, message))
            return clipping.added(message, self.independent, tree.cast(single, message))

        bits = clipping.full_bits(wire)
        given = wire.replace(sent=noisy(wire.sent), own=noisy(wire.own), plan=plan, bits=bits)
        return self.inner.apply(state, given, inside)
