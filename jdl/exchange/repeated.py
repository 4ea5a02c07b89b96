"""Several steps of gossip a round."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.exchange.linear import Linear
from jdl.types import Exchange, ExchangeState, Key, Message, Traffic, Wire, static

__all__ = ["Repeated", "repeated", "steps"]

Combine = Callable[[jax.Array, Message, Message, Message], Message]


def steps(inner: Exchange, times: int, state: ExchangeState, wire: Wire, key: Key, combine: Combine) -> tuple:
    """`x_{k+1} = combine(k, inner's answer to x_k, x_k, x_{k-1})` for k = 1 .. times - 1; x_1 is its answer to `wire`.

    Only what is sent first may be disturbed or compressed on its way here; from then on each node sends its inbox, in
    full where the message was not empty. A loop, for of a chain of sums XLA computes parts anew for every row.
    """
    size = tree.bits(wire.own)
    inbox, state, traffic = inner.apply(state, wire, jax.random.fold_in(key, 0))

    def step(k, carry):
        x, before, state, traffic = carry
        bits = jnp.where(wire.bits > 0, size, 0).astype(wire.bits.dtype)
        answer, state, more = inner.apply(state, wire.replace(own=x, sent=x, bits=bits), jax.random.fold_in(key, k))
        return combine(k, answer, x, before), x, state, tree.add(traffic, more)

    carry = (inbox, wire.own, state, traffic)
    inbox, _, state, traffic = jax.lax.fori_loop(1, times, step, carry) if times > 1 else carry
    return inbox, state, traffic


@struct.dataclass
class Repeated:
    """inbox = W^times own: each step sends the inbox of the one before, over the same plan."""

    times: int = static(2, minimum=1)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"peers"})
    breaks: ClassVar[frozenset[str]] = frozenset({"per_link"})

    def init(self, message: Message) -> ExchangeState:
        return self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, Traffic]:
        if not jax.tree.leaves(wire.sent):
            return self.inner.apply(state, wire, key)
        return steps(self.inner, self.times, state, wire, key, lambda k, answer, x, before: answer)


def repeated(times: int = 2) -> Repeated:
    """Repeated gossip: `times` steps a round with the same plan, so that a round mixes with W^times.

    What comes before it in the network acts on the first step alone (a liar lies once, to his neighbours); what comes
    after it acts on every step, links fail anew. `chebyshev` gets more out of as many messages.

    Sends:
      the message, `times` times a round on every link.

    Args:
      times: gossip steps a round; 1 is plain gossip.

    References:
      Berahas, Bollapragada, Keskar, Wei 2019, Balancing Communication and Computation in Distributed Optimization (from
      memory).
    """
    return Repeated(times=times)
