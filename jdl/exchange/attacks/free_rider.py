"""Nodes that pass on what they received in place of work of their own."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.exchange.attacks.gaussian import normal
from jdl.exchange.attacks.liars import Attack, key_of_liars, reals, told
from jdl.exchange.linear import Linear
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire, number

__all__ = ["FreeRider"]


class Memory(NamedTuple):
    """What each node received last.

    Attributes:
      inbox: leaves `[n, ...]`.
      any: bool[n], whether it has received anything.
    """

    inbox: list[jax.Array]
    any: jax.Array


@struct.dataclass
class FreeRider(Attack):
    """Free riders: dishonest peers send what they received last, without work of their own, perhaps under noise.

    Before they receive anything, they send their own message. A client of a server that returns the model as it came
    sends a change of zero: that is `Zero()`, and with noise `Gaussian(0.0, sigma)`.

    Sends:
      the inbox of the round before, plus sigma N(0, I).

    Memory:
      one message for each node.

    Args:
      sigma: standard deviation of the noise by which they hide that they did not work, at least 0.
      inner: the exchange that receives the messages next.

    References:
      Fraboni, Vidal, Lorenzi 2021, Free-rider Attacks on Model Aggregation in Federated Learning (the idea of plain and
      disguised free riders, here among peers).
    """

    sigma: float = number(0.0, minimum=0)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"dishonest", "peers", "at_once"})
    # What arrives one by one is no message that could be passed on.
    breaks: ClassVar[frozenset[str]] = frozenset({"per_link", "each"})

    def begin(self, message: Message) -> Memory:
        zeros = tree.zeros_like(message)
        return Memory(zeros, jnp.zeros(zeros[0].shape[0], bool))

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        memory, inner = state
        heard = wire.replace(own=reals(wire.own), sent=reals(wire.sent))
        noise = normal(key_of_liars(self.inner, key), heard)
        again = tree.axpy(self.sigma, noise, tree.take_rows(memory.inbox, wire.origin))
        lies = tree.where_rows(memory.any[wire.origin], again, heard.sent)
        inbox, inner, deliveries = self.inner.apply(inner, wire.replace(sent=told(wire, lies)), key)
        return inbox, (_after(memory, wire, reals(inbox)), inner), deliveries


def _after(memory: Memory, wire: Wire, inbox: list[jax.Array]) -> Memory:
    """The memory after a round: nodes that sleep or take no part received nothing."""
    plan = wire.plan
    before = tree.take_rows(memory, plan.participants)
    awake = jnp.ones(before.any.shape, bool) if plan.active is None else plan.active
    new = Memory(tree.where_rows(awake, tree.cast(inbox, before.inbox), before.inbox), before.any | awake)
    return tree.put_rows(memory, plan.participants, new)
