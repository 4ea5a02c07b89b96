"""Lies that keep honest neighbours from agreeing."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import plan as plans
from jdl import tree
from jdl.exchange.attacks.liars import lying, wide
from jdl.exchange.attacks.victims import AttackOnEach
from jdl.exchange.linear import Linear
from jdl.exchange.mixing import mix
from jdl.types import Exchange, Key, Wire, number

__all__ = ["Dissensus"]


@struct.dataclass
class Dissensus(AttackOnEach):
    """Dissensus: to each victim, liars send what cancels the pull of its honest neighbours towards agreement.

    x_b = x_i - strength sum_{k honest} W_ik (x_k - x_i) / sum_{b liar} W_ib, to honest node i. With strength 1 plain
    gossip leaves the victim where it is; with more it moves away from its neighbours.

    The weights are those of the messages that arrive, as far as losses stand before the attack in the network; put
    `Lossy` before it. Copies of one lie are counted for the first of the liars that send it.

    Sends:
      to each honest neighbour a false message of its own, of the same size as the true one.

    Memory:
      none between rounds; within a round the messages twice.

    Args:
      strength: 1 to keep victims where they are, more to drive them apart; at least 0.
      inner: the exchange that receives the messages next.

    References:
      He, Karimireddy, Jaggi 2022, Byzantine-Robust Decentralized Learning via ClippedGossip (the dissensus attack, as
      in the public code of the authors).
    """

    strength: float = number(1.0, minimum=0)
    inner: Exchange = Linear()

    def lies(self, wire: Wire, attacked: jax.Array, key: Key) -> list[jax.Array]:
        plan, links = wire.plan, wire.plan.links
        weights = jnp.where(plans.arrived(links), links.weights, 0)
        honest = jnp.where(lying(wire)[plans.senders(links)], 0, weights)
        pull, push = (plans.into(links, w, plans.rows(plan)) for w in (honest, jnp.where(attacked, weights, 0)))
        own = [wide(x) for x in wire.own]
        among = plan.replace(
            links=links.replace(weights=honest, arrived=None), self_weights=1 - pull, stochastic="row", symmetric=False
        )
        moved = tree.sub(mix(among, own, wire.sent), own)
        factor = jnp.where(push > 0, -self.strength / jnp.where(push > 0, push, 1), 0)
        return [x + tree.column(factor.astype(x.dtype), x) * move for x, move in zip(own, moved, strict=True)]
