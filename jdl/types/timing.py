"""The parts of a clock, and what a round costs in time."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import jax
from flax import struct

from jdl.types.fields import Key

__all__ = ["ClockState", "LinkTime", "StepTime", "Transfers", "Wait", "Work"]


class Work(NamedTuple):
    """How many steps a node computes in one exchange of a round; a step is one gradient of one minibatch.

    Attributes:
      before: those on which the node's message depends.
      beside: those that neither depend on what arrives nor are needed for the message: messages travel meanwhile.
      after: those that depend on what arrived.
      waits: whether steps before or beside need what arrived in the last exchange. If not, they overlap with it, also
        where it is the last one of the round before.
      sends_on: whether the message needs what arrived in the last exchange.
    """

    before: float
    beside: float
    after: float
    waits: bool = True
    sends_on: bool = True


@struct.dataclass
class Transfers:
    """The copies that travel over links at the same time, one by one: all arrays have the shape of the links.

    Attributes:
      senders: i32, the node that sends each copy; the server is number n.
      receivers: i32, the node that receives it.
      used: bool, whether there is a copy.
      bits: f, its size.
      ready: f, the second at which its sender has it ready.
      n: the number of nodes.
    """

    senders: jax.Array
    receivers: jax.Array
    used: jax.Array
    bits: jax.Array
    ready: jax.Array
    n: int = struct.field(pytree_node=False)


@runtime_checkable
class StepTime(Protocol):
    """How long one step of each node takes.

    Attributes:
      seconds: takes the round, a key of this round and the number of nodes, and gives f[n].
    """

    def seconds(self, t: jax.Array, key: Key, n: int) -> jax.Array: ...


@runtime_checkable
class LinkTime(Protocol):
    """How long messages travel.

    Attributes:
      arrivals: takes the copies that travel in an exchange, and gives the second at which each is there, in the shape
        of the links. Values of links without a copy have no meaning.
      all_to_all: may be left out. In groups whose members all send to all others, it gives the second at which the last
        copy is there at each member, without a list of links: f[g, r] of the seconds at which members are ready, the
        bits that each sends to each, 0 for none, and which places are members; -inf where nothing arrives. None where
        it is no shorter than the list.
    """

    def arrivals(self, transfers: Transfers) -> jax.Array: ...


@runtime_checkable
class Wait(Protocol):
    """For whom a server waits, or a peer for its neighbours.

    Attributes:
      until: takes the second at which it began to wait, the second at which each copy arrives, f[k], and whether there
        is one, bool[k]; gives which copies it takes, bool[k], and the second at which it goes on.
      until_each: may be left out. The same of m who wait at once, each for its own copies in one list: f[m] of the
        seconds at which they began, f[e] and bool[e] as above, and who is sent each copy, i32[e]; gives bool[e] and
        f[m]. Without it each of the m looks through the whole list.
    """

    def until(self, began: jax.Array, arrivals: jax.Array, used: jax.Array) -> tuple[jax.Array, jax.Array]: ...


@struct.dataclass
class ClockState:
    """The clock of each node after the rounds that are done. Sums are pairs: a float32 sum, and its rounding error.

    Attributes:
      now: f[n], or f[n + 1] with a server, which comes last: the second at which each has ended its last round, counted
        from `since`.
      since: f[2], the second at which the first of them has ended its last round.
      computed: f[2, n], for how many seconds each node has computed.
      received: f[2, n], or f[2, n + 1] with a server, which comes last: how many bits have arrived at each.
      pending: f[n], the second, counted from `since`, at which what was last sent to each node is there; None
        for methods that wait for it before they go on computing.
    """

    now: jax.Array
    since: jax.Array
    computed: jax.Array
    received: jax.Array
    pending: jax.Array | None = None
