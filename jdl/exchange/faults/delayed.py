"""Messages that are late."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.exchange.faults.mailbox import Box, empty, read, receive
from jdl.exchange.linear import Linear
from jdl.exchange.links import uniform_of_links
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Server, Wire, number, static

__all__ = ["Delayed"]


class State(NamedTuple):
    box: Box
    t: jax.Array  # i32[], the number of exchanges before this one
    inner: ExchangeState


@struct.dataclass
class Delayed:
    """Late messages: with some probability, a link brings a message that is `least` to `rounds` rounds old.

    x_i(t + 1) = W_ii x_i(t) + sum_j W_ij x_j(t - d_ij(t)), where d_ij(t) = 0 with probability 1 - probability, and is
    otherwise uniform on {least, ..., rounds}. Each link draws its delay anew in every round, so between peers a message
    may be read twice, or never. A message from before the first round does not arrive; its weight stays with the
    receiver.

    To a server, each message arrives exactly once, d rounds after it was sent, with the weight that it had then. The
    server averages over what arrives in a round: stale changes. On the way down, a client works with the server's
    message of d rounds ago, and takes no part in a round in which that message is from before the first one.

    Sends:
      the message, unchanged; it is counted once, in the round in which it is sent.

    Memory:
      the messages of the last `rounds` + 1 rounds of each node.

    Args:
      rounds: the largest delay D, in rounds.
      least: the smallest delay of a late message, in rounds, 0 to `rounds`.
      probability: probability that a message is late, 0 to 1.
      inner: the exchange that receives what arrives.

    Raises:
      InputError: if `least` exceeds `rounds`.

    References:
      Tsitsiklis, Bertsekas, Athans 1986, Distributed Asynchronous Deterministic and Stochastic Gradient Optimization
      Algorithms (bounded delays; here of synchronous rounds).
    """

    rounds: int = static(2, minimum=0)
    least: int = static(1, minimum=0)
    probability: float = number(0.5, minimum=0, maximum=1)
    inner: Exchange = Linear()

    # A message of an earlier round must have been sent on the link that brings it.
    needs: ClassVar[frozenset[str]] = frozenset({"one_by_one", "lasting_links"})
    # Between peers a message may be read twice or never, so that no sum over the nodes is kept.
    breaks: ClassVar[frozenset[str]] = frozenset(
        {"reliable", "symmetric", "doubly_stochastic", "column_stochastic", "per_link", "push", "prompt"}
    )

    def __post_init__(self) -> None:
        least, rounds = self.least, self.rounds
        if isinstance(least, int) and isinstance(rounds, int):
            need = f"got least={least} and rounds={rounds}, need the smallest delay first; try least={min(1, rounds)}"
            checks.require(least <= rounds, need)

    def init(self, message: Message) -> ExchangeState:
        return State(empty(message, self.rounds), jnp.int32(0), self.inner.init(message))

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        here, inside = jax.random.split(key)

        def drawn(wire: Wire) -> jax.Array:
            """The delay of each link, i32 in the shape of the links; each direction has its own."""
            u = uniform_of_links(wire.replace(plan=wire.plan.replace(symmetric=False)), here)
            p = jnp.asarray(self.probability, u.dtype)
            # Given that u < p, u / p is uniform: one draw says whether, and how late.
            step = jnp.floor(u / jnp.where(p > 0, p, 1) * (self.rounds - self.least + 1)).astype(jnp.int32)
            return jnp.where(u < p, jnp.minimum(self.least + step, self.rounds), 0)

        if isinstance(wire.plan.links, Server):
            out = receive(self, state.box, state.inner, wire, drawn(wire), inside)
        else:

            def ages(wire: Wire) -> tuple[jax.Array, jax.Array]:
                late = drawn(wire)
                return late, late <= state.t

            out = read(self, state.box, state.inner, wire, ages, inside)
        inbox, box, inner, deliveries = out
        return inbox, State(box, state.t + 1, inner), deliveries
