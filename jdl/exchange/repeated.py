"""Several steps of gossip a round."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, tree
from jdl import plan as plans
from jdl.exchange.linear import Linear
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire, static

__all__ = ["Repeated", "steps"]

Combine = Callable[[jax.Array, Message, Message, Message], Message]


def steps(
    inner: Exchange,
    times: int,
    state: ExchangeState,
    wire: Wire,
    key: Key,
    combine: Combine,
    goes_on: Callable[[Message], jax.Array] | None = None,
) -> tuple:
    """`x_{k+1} = combine(k, inner's answer to x_k, x_k, x_{k-1})` for k = 1 .. times - 1; x_1 is its answer to `wire`.

    With `goes_on`, a test of the inbox x_k, the steps end where it fails.

    Only what is sent first may be disturbed or compressed on its way here; from then on each node sends its inbox, in
    full where the message was not empty. A loop, for of a chain of sums XLA computes parts anew for every row.
    """
    size, rows, m = tree.bits(wire.own), wire.bits.shape[0], plans.rows(wire.plan)
    need = "need one of each node; put what repeats gossip before what delays messages or adds some"
    checks.require(times == 1 or rows == m, f"got {rows} messages in a round of {m} nodes, {need}")
    inbox, state, deliveries = inner.apply(state, wire, jax.random.fold_in(key, 0))
    if times == 1:
        return inbox, state, deliveries
    bits = jnp.where(wire.bits > 0, size, 0).astype(wire.bits.dtype)

    def step(k, carry):
        x, before, state, sent = carry
        answer, state, more = inner.apply(state, wire.replace(own=x, sent=x, bits=bits), jax.random.fold_in(key, k))
        return combine(k, answer, x, before), x, state, tree.add(sent, _sent(more))

    carry = (inbox, wire.own, state, _sent(deliveries))
    if goes_on is None:
        inbox, _, state, sent = jax.lax.fori_loop(1, times, step, carry)
    else:
        more = lambda turn: (turn[0] < times) & goes_on(turn[1][0])
        one_more = lambda turn: (turn[0] + 1, step(*turn))
        inbox, _, state, sent = jax.lax.while_loop(more, one_more, (jnp.int32(1), carry))[1]
    both = zip(deliveries, sent, strict=True)
    return inbox, state, tuple(one.replace(bits=bits, copies=copies) for one, (bits, copies) in both)


def _sent(deliveries: tuple[Delivery, ...]) -> list[tuple[jax.Array, jax.Array]]:
    return [(one.bits, jnp.broadcast_to(one.copies, one.bits.shape)) for one in deliveries]


@struct.dataclass
class Repeated:
    """Repeated gossip: several steps a round over the same plan, so that inbox = W^times own.

    Each step sends the inbox of the step before. What comes before it in the network acts on the first step alone (an
    attacker lies once, to its neighbours); what comes after it acts on every step, so links fail anew. `Chebyshev`
    gets more out of as many messages.

    Sends:
      the message, `times` times a round on every link.

    Args:
      times: gossip steps a round; 1 is plain gossip.
      inner: the exchange that makes one gossip step.

    References:
      Berahas, Bollapragada, Keskar, Wei 2019, Balancing Communication and Computation in Distributed Optimization (from
      memory).
    """

    times: int = static(2, minimum=1)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "at_once"})
    breaks: ClassVar[frozenset[str]] = frozenset({"per_link", "each"})

    def init(self, message: Message) -> ExchangeState:
        return self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        return steps(self.inner, self.times, state, wire, key, lambda k, answer, x, before: answer)
