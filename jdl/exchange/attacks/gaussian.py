"""Messages drawn at random."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.exchange.attacks.liars import Attack
from jdl.exchange.linear import Linear
from jdl.types import Exchange, Key, Message, PyTree, Wire, number

__all__ = ["Gaussian", "normal"]


@struct.dataclass
class Gaussian(Attack):
    """Gaussian attack: dishonest nodes send mean + std N(0, I), drawn anew in every round, and keep the true message.

    Each liar draws numbers of its own.

    Sends:
      random numbers, of the same size as the true message.

    Args:
      mean: mean of every coordinate.
      std: standard deviation of every coordinate, at least 0.
      inner: the exchange that receives the messages next.

    References:
      Blanchard, El Mhamdi, Guerraoui, Stainer 2017, Machine Learning with Adversaries: Byzantine Tolerant Gradient
      Descent (Gaussian attackers of its experiments; their standard deviation was not read).
    """

    mean: float = number(0.0)
    std: float = number(1.0, minimum=0)
    inner: Exchange = Linear()
    breaks = frozenset()  # no rows are compared

    def lies(self, memory: PyTree, wire: Wire, key: Key) -> tuple[Message, PyTree]:
        scaled = lambda x: jnp.asarray(self.mean, x.dtype) + jnp.asarray(self.std, x.dtype) * x
        return [scaled(x) for x in normal(key, wire)], memory


def normal(key: Key, wire: Wire) -> list[jax.Array]:
    """Standard normal numbers in the shape of `wire.sent`, which depend on who sends a row and not on its place.

    Args:
      key: a key of the round.
      wire: messages that are lists of arrays of real numbers.
    """
    own = lambda key: jax.vmap(lambda origin: jax.random.fold_in(key, origin.astype(jnp.uint32)))(wire.origin)

    def drawn(key, x):
        return jax.vmap(lambda key: jax.random.normal(key, x.shape[1:], x.dtype))(own(key))

    return [drawn(key, x) for key, x in zip(jax.random.split(key, len(wire.sent)), wire.sent, strict=True)]
