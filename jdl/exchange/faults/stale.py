"""Links that repeat what they brought last."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl.exchange.faults.mailbox import Box, empty, read
from jdl.exchange.linear import Linear
from jdl.exchange.links import uniform_of_links
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire, number, static

__all__ = ["Stale"]


class State(NamedTuple):
    box: Box
    keys: jax.Array  # the keys of the last `rounds` + 1 exchanges, the newest first: who failed then is drawn again
    t: jax.Array  # i32[], the number of exchanges before this one
    inner: ExchangeState


@struct.dataclass
class Stale:
    """Repeated messages: where a message is lost, the receiver reads the last one that arrived on the link.

    A message is lost with some probability, each way of a link by itself, independently in every round. The receiver
    then uses what it received on the link before: a message as many rounds old as losses followed each other. A message
    older than `rounds` is not used, and its weight stays with the receiver, as does that of a link that brought nothing
    yet.

    Sends:
      the message, unchanged; it is counted whether it arrives or not.

    Memory:
      the messages of the last `rounds` + 1 rounds of each node.

    Args:
      probability: probability that a message is lost, 0 to 1.
      rounds: the largest age of a message that is used, in rounds.
      inner: the exchange that receives what is read.
    """

    probability: float = number(0.1, minimum=0, maximum=1)
    rounds: int = static(4, minimum=0)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "one_by_one", "fixed_links"})
    breaks: ClassVar[frozenset[str]] = frozenset(
        {"reliable", "symmetric", "doubly_stochastic", "column_stochastic", "per_link", "push", "prompt"}
    )

    def init(self, message: Message) -> ExchangeState:
        keys = jax.random.split(jax.random.key(0), self.rounds + 1)
        return State(empty(message, self.rounds), jax.random.key_data(keys), jnp.int32(0), self.inner.init(message))

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        here, inside = jax.random.split(key)
        keys = jnp.concatenate([jax.random.key_data(here)[None], state.keys[:-1]])

        def ages(wire: Wire) -> tuple[jax.Array, jax.Array]:
            """The number of losses in a row on each link, and whether the message before them may be used."""
            wire = wire.replace(plan=wire.plan.replace(symmetric=False))

            def earlier(back: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
                age, failing = carry
                impl = jax.random.key_impl(here)
                u = uniform_of_links(wire, jax.random.wrap_key_data(keys[back], impl=impl))
                failing = failing & (u < self.probability) & (back <= state.t)
                return age + failing.astype(jnp.int32), failing

            shape = wire.plan.links.used.shape
            start = jnp.zeros(shape, jnp.int32), jnp.ones(shape, bool)
            age, failing = jax.lax.fori_loop(0, self.rounds + 1, earlier, start)
            return jnp.minimum(age, self.rounds), ~failing & (age <= state.t)

        inbox, box, inner, deliveries = read(self, state.box, state.inner, wire, ages, inside)
        return inbox, State(box, keys, state.t + 1, inner), deliveries
