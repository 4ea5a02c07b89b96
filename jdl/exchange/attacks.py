"""Attackers: nodes that send something else than their message."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.exchange.linear import Linear
from jdl.types import Exchange, ExchangeState, Key, Message, Traffic, Wire, number, static

__all__ = ["SignFlip"]


@struct.dataclass
class SignFlip:
    """Sign-flip attack: a fraction of the nodes sends -strength times its message, and keeps the true one.

    The round(fraction n) attackers are drawn once and are the same in every round. Metrics count all nodes, attackers
    included.

    Sends:
      a false message of the same size as the true one.

    Memory:
      one bit per node, which says whether it is an attacker.

    Args:
      fraction: share of the nodes that are attackers, 0 to 1.
      strength: factor on the false message, at least 0.
      attack_seed: seed of the draw of the attackers.
      inner: the exchange that receives the messages next.

    References:
      Blanchard, El Mhamdi, Guerraoui, Stainer 2017, Machine Learning with Adversaries: Byzantine Tolerant Gradient
      Descent (omniscient sign reversal).
    """

    fraction: float = number(0.1, minimum=0, maximum=1)
    strength: float = number(1.0, minimum=0)
    attack_seed: int = static(0, minimum=0)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset()
    breaks: ClassVar[frozenset[str]] = frozenset()

    def init(self, message: Message) -> ExchangeState:
        leaves = jax.tree.leaves(message)
        n = leaves[0].shape[0] if leaves else 0
        order = jax.random.permutation(jax.random.key(self.attack_seed), n)
        return order < jnp.round(self.fraction * n).astype(order.dtype), self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, Traffic]:
        attackers, inner = state
        if not jax.tree.leaves(wire.sent):  # an empty message cannot be falsified
            inbox, inner, traffic = self.inner.apply(inner, wire, key)
            return inbox, (attackers, inner), traffic
        false = tree.scale(-self.strength, wire.sent)
        sent = tree.where_rows(tree.take_rows(attackers, wire.plan.participants), false, wire.sent)
        inbox, inner, traffic = self.inner.apply(inner, wire.replace(sent=sent), key)
        return inbox, (attackers, inner), traffic
