"""Messages with the opposite sign."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.exchange.linear import Linear
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire, number, static

__all__ = ["SignFlip"]


@struct.dataclass
class SignFlip:
    """Sign-flip attack: dishonest nodes send -strength times their message, and keep the true one.

    The attackers are the dishonest nodes of the simulation's roles. If a fraction is given, they are round(fraction n)
    nodes instead, which are drawn once and stay the same. Whole numbers in a message stay as they are.

    Sends:
      a false message of the same size as the true one.

    Memory:
      one bit per node, which says whether it is an attacker.

    Args:
      fraction: share of the nodes that are attackers, 0 to 1; None for the dishonest nodes of the roles.
      strength: factor on the false message, at least 0.
      attack_seed: seed of the draw of the attackers.
      inner: the exchange that receives the messages next.

    References:
      Blanchard, El Mhamdi, Guerraoui, Stainer 2017, Machine Learning with Adversaries: Byzantine Tolerant Gradient
      Descent (omniscient sign reversal).
    """

    fraction: float | None = number(None, minimum=0, maximum=1)
    strength: float = number(1.0, minimum=0)
    attack_seed: int = static(0, minimum=0)
    inner: Exchange = Linear()

    @property
    def needs(self) -> frozenset[str]:
        """Dishonest nodes among the roles, if it does not draw attackers of its own."""
        return frozenset({"dishonest"} if self.fraction is None else set())

    breaks: ClassVar[frozenset[str]] = frozenset()

    def init(self, message: Message) -> ExchangeState:
        n = jax.tree.leaves(message)[0].shape[0]
        order = jax.random.permutation(jax.random.key(self.attack_seed), n)
        drawn = () if self.fraction is None else order < jnp.round(self.fraction * n).astype(order.dtype)
        return drawn, self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        drawn, inner = state
        liars = ~wire.roles.honest if self.fraction is None else drawn
        attacks = liars[wire.origin] & (wire.origin >= 0)  # a server, of origin -1, is honest
        flip = lambda x: jnp.asarray(-self.strength, x.dtype) * x if jnp.issubdtype(x.dtype, jnp.inexact) else x
        sent = tree.where_rows(attacks, jax.tree.map(flip, wire.sent), wire.sent)
        inbox, inner, deliveries = self.inner.apply(inner, wire.replace(sent=sent), key)
        return inbox, (drawn, inner), deliveries
