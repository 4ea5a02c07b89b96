"""Lies that point against the honest mean."""

from __future__ import annotations

import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.exchange.attacks.liars import Attack, mean, seen, some_of
from jdl.exchange.linear import Linear
from jdl.types import Exchange, Key, Message, PyTree, Wire, number, static

__all__ = ["InnerProduct"]


@struct.dataclass
class InnerProduct(Attack):
    """Inner-product manipulation (IPM, fall of empires): liars send -strength times the mean of the honest messages.

    The mean of all messages, of h honest nodes and f liars, is (h - f strength) / (h + f) times the honest mean. A
    small strength hides among the honest messages, a large one turns a plain mean around.

    Sends:
      one false message, the same at all liars, of the same size as the true one.

    Args:
      strength: factor on the mean, at least 0.
      share: probability with which a coordinate is lied about, 0 to 1, for a sparse attack that sends the honest mean
        elsewhere; None for a lie about all coordinates.
      attack_seed: seed of the coordinates of a sparse attack, the same ones in all rounds; None for others in every
        round.
      inner: the exchange that receives the messages next.

    References:
      Xie, Koyejo, Gupta 2019, Fall of Empires: Breaking Byzantine-tolerant SGD by Inner Product Manipulation (as in the
      public code of He, Karimireddy, Jaggi 2022, whose strength is 0.1).
    """

    strength: float = number(0.1, minimum=0)
    share: float | None = number(None, minimum=0, maximum=1)
    attack_seed: int | None = static(0, minimum=0)
    inner: Exchange = Linear()

    def lies(self, memory: PyTree, wire: Wire, key: Key) -> tuple[Message, PyTree]:
        centre = mean(seen(wire), wire.sent)
        lie = tree.scale(-jnp.asarray(self.strength), centre)
        return some_of(self.share, key, self.attack_seed, lie, centre), memory
