"""Averages that do not shrink: the spread of weights is restored."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.exchange.linear import Linear
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire

__all__ = ["VarianceCorrected"]


@struct.dataclass
class VarianceCorrected:
    """Variance-corrected averaging: the average of models is stretched to the average of their variances.

    inbox = a + (a - mean(a)) (sqrt(sum_j W_ij var(x_j) / var(a)) - 1) for each array, with a = sum_j W_ij x_j.

    Weights of k independent models have k times the variance of those of their average, so gossip shrinks a network
    that has not learned yet to outputs of zero. Here each array of the inbox is stretched around its mean. Equal models
    stay as they are. It is for models: trackers and duals that travel with them are stretched as well, and methods that
    hold sums over nodes constant, such as gradient tracking, lose what makes them exact.

    Sends:
      the message, and one number more for each of its arrays.

    Args:
      inner: the exchange that averages.

    References:
      Tian, Al-Ars, Kitsak, Hofstee 2024, Vanishing Variance Problem in Fully Decentralized Neural-Network Systems
      (abstract read; the equation is the project's reading of it).
    """

    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"peers"})
    # What is rescaled keeps no sum: x / w of push-sum would mean nothing.
    breaks: ClassVar[frozenset[str]] = frozenset({"column_stochastic", "per_link", "each", "push"})

    def init(self, message: Message) -> ExchangeState:
        return self.inner.init(_with_variances(message))

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        own, sent = _with_variances(wire.own), _with_variances(wire.sent)
        more = tree.bits(sent["variance"])
        bits = jnp.where(wire.bits > 0, wire.bits + more, 0)
        inbox, state, traffic = self.inner.apply(state, wire.replace(own=own, sent=sent, bits=bits), key)
        return jax.tree.map(_restored, inbox["x"], inbox["variance"]), state, traffic


def _rest(x: jax.Array) -> tuple[int, ...]:
    return tuple(range(1, x.ndim))


def _with_variances(message: Message) -> Message:
    return {"x": message, "variance": jax.tree.map(lambda x: jnp.var(x, axis=_rest(x)), message)}


def _restored(x: jax.Array, variance: jax.Array) -> jax.Array:
    has = jnp.var(x, axis=_rest(x))
    # A single number has no variance, nor has an array of equal ones: these stay as they are.
    factor = jnp.where(has > 0, jnp.sqrt(jnp.maximum(variance, 0) / jnp.where(has > 0, has, 1)), 1)
    return x + tree.column(factor - 1, x) * (x - jnp.mean(x, axis=_rest(x), keepdims=True))
