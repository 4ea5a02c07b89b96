"""Lines that carry one copy at a time."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.clock.links.lines import Lines, capacity, latency
from jdl.types import Transfers

__all__ = ["OneAfterAnother"]


@struct.dataclass
class OneAfterAnother(Lines):
    """A node sends its copies one after the other, to its neighbours in ascending order, and receives one at a time.

    A copy occupies the line up of its sender and the line down of its receiver, at the lower of the two rates; the
    latency comes after it, and occupies nothing. A sender waits until its next receiver is free; of several senders
    that wait for one receiver, the one that could start first is served first, and the one of the least number among
    equals. The events of an exchange are computed one after the other, as far as they depend on each other: an exchange
    of equal nodes takes about as many turns as a node has neighbours, one of very different nodes up to one turn a
    copy.

    Args:
      up: bits a second that a node sends at most, f[] or f[n].
      down: bits a second that a node receives at most, f[] or f[n].
      latency: seconds: f[] for all links, or f[n, n] from sender (column) to receiver (row); with a server one row and
        column more, the last.
      server: bits a second of a server in each direction.

    >>> two = Transfers(jnp.array([0, 0]), jnp.array([1, 2]), jnp.ones(2, bool), jnp.full(2, 8.0), jnp.zeros(2), n=3)
    >>> OneAfterAnother(up=8.0, down=8.0, latency=0.0).arrivals(two).tolist()
    [1.0, 2.0]
    """

    def arrivals(self, transfers: Transfers) -> jax.Array:
        n, shape = transfers.n, transfers.used.shape
        there = (transfers.used & (transfers.bits > 0)).ravel()
        sender = jnp.where(there, transfers.senders.ravel(), n + 1)  # what is not sent comes last
        order = jnp.lexsort((transfers.receivers.ravel(), sender))
        ups, downs = (capacity(rates, self.server, n) for rates in (self.up, self.down))
        sender, receiver = sender[order], transfers.receivers.ravel()[order]
        rate = jnp.minimum(ups[jnp.minimum(sender, n)], downs[receiver])
        ends = _served(sender, receiver, transfers.ready.ravel()[order], transfers.bits.ravel()[order] / rate, n)
        ends = jnp.zeros_like(ends).at[order].set(ends).reshape(shape)
        return ends + latency(self.latency, transfers)


def _served(sender: jax.Array, receiver: jax.Array, ready: jax.Array, takes: jax.Array, n: int) -> jax.Array:
    """The second at which each copy ends, f[e]. Copies are sorted by sender; those of number n + 1 are not sent."""
    nodes, last = jnp.arange(n + 1, dtype=jnp.int32), sender.shape[0] - 1
    first = jnp.searchsorted(sender, nodes).astype(jnp.int32)
    after = jnp.searchsorted(sender, nodes, side="right").astype(jnp.int32)

    def turn(carry):
        ends, at, up, down = carry
        waiting, copy = at < after, jnp.minimum(at, last)
        to = receiver[copy]
        start = jnp.where(waiting, jnp.maximum(jnp.maximum(ready[copy], up), down[to]), jnp.inf)
        end = start + takes[copy]
        # A sender's next copy cannot start before the first of these ends, so what starts earlier is decided.
        decided = waiting & ((start < jnp.min(end)) | (start == jnp.min(start)))
        earliest = jnp.full(n + 1, jnp.inf).at[to].min(jnp.where(decided, start, jnp.inf))
        tied = decided & (start == earliest[to])
        chosen = jnp.full(n + 1, n + 1, jnp.int32).at[to].min(jnp.where(tied, nodes, n + 1))
        goes = tied & (chosen[to] == nodes)
        ends = ends.at[jnp.where(goes, copy, last + 1)].set(end, mode="drop")
        down = down.at[jnp.where(goes, to, n + 1)].set(end, mode="drop")
        return ends, at + goes.astype(jnp.int32), jnp.where(goes, end, up), down

    idle = jnp.full(n + 1, -jnp.inf, jnp.float32)
    start = jnp.zeros(sender.shape, jnp.float32), first, idle, idle
    return jax.lax.while_loop(lambda carry: jnp.any(carry[1] < after), turn, start)[0]
