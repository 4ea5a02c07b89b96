"""Nodes that lie."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.exchange.linear import Linear
from jdl.types import Exchange, ExchangeState, Key, Message, Traffic, Wire, number, static

__all__ = ["SignFlip", "sign_flip"]


@struct.dataclass
class SignFlip:
    """A fraction of the nodes, drawn once by `attack_seed`, sends `-strength` times its message."""

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
        liars, inner = state
        if not jax.tree.leaves(wire.sent):  # nothing is said, so nothing is lied about
            inbox, inner, traffic = self.inner.apply(inner, wire, key)
            return inbox, (liars, inner), traffic
        lies = tree.scale(-self.strength, wire.sent)
        sent = tree.where_rows(tree.take_rows(liars, wire.plan.participants), lies, wire.sent)
        inbox, inner, traffic = self.inner.apply(inner, wire.replace(sent=sent), key)
        return inbox, (liars, inner), traffic


def sign_flip(fraction: float = 0.1, strength: float = 1.0, attack_seed: int = 0) -> SignFlip:
    """Sign-flip attack: a fraction of the nodes sends -strength times its message, and keeps the truth.

    round(fraction n) liars, the same in every round; metrics count all nodes, liars too.

    Sends:
      a lie of the same size as the message.

    Args:
      fraction: share of the nodes that lie.
      strength: factor on the lie.
      attack_seed: draws who lies.

    References:
      Blanchard, El Mhamdi, Guerraoui, Stainer 2017 (omniscient sign reversal).
    """
    return SignFlip(fraction=fraction, strength=strength, attack_seed=attack_seed)
