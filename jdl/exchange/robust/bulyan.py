"""Bulyan: Krum chooses, and coordinates are averaged around their median."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl.exchange import mixing
from jdl.exchange.robust.distances import each_row
from jdl.exchange.robust.krum import lowest
from jdl.exchange.robust.meamed import around_median
from jdl.exchange.robust.near import Near
from jdl.exchange.robust.rule import Rule, inbox
from jdl.types import Key, Plan, static

__all__ = ["Bulyan"]


@struct.dataclass
class Bulyan(Rule):
    """Bulyan: Krum chooses m - 2 f messages one after another; then the mean of the values around their median.

    Each choice is that of `Krum` among the messages not chosen yet. Of each coordinate of those chosen, all but the 2 f
    values farthest from their median are averaged; if that leaves none, the result is the median. All arrays of a
    message are one vector for Krum. The weights of W are ignored. It stands last in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none between rounds; within a round the distances in some neighbourhoods, the messages of a few nodes, and every
      node's k + 1 messages twice, if these are more than 64.

    Args:
      f: number of attackers among the messages; proofs ask for m >= 4 f + 3.

    References:
      El Mhamdi, Guerraoui, Rouault 2018, The Hidden Vulnerability of Distributed Learning in Byzantium, section 4.
    """

    f: int = static(1, minimum=0)

    def received(self, plan: Plan, own: list[jax.Array], sent: list[jax.Array], key: Key) -> list[jax.Array]:
        chosen = each_row(self._chosen, plan, own, sent)

        def one(own: jax.Array, sent: jax.Array) -> jax.Array:
            messages, arrived = mixing.neighbourhood(plan, own, sent)
            return inbox(plan, around_median(messages, chosen & arrived, 2 * self.f), arrived)

        return [one(*pair) for pair in zip(own, sent, strict=True)]

    def _chosen(self, near: Near) -> jax.Array:
        k = len(near.arrived)
        count = jnp.maximum(jnp.sum(near.arrived, dtype=jnp.int32) - 2 * self.f, 1)

        def step(i, chosen):
            among = near.arrived & ~chosen
            best = lowest(near.squared, among, self.f, jnp.int32(1))
            return chosen | (best & (i < count))

        return jax.lax.fori_loop(np.int32(0), np.int32(max(k - 2 * self.f, 1)), step, jnp.zeros(k, bool))
