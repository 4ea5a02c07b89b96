"""Lines whose capacity is shared by all copies that travel over them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.clock.links.all_to_all import last_of_others
from jdl.clock.links.lines import Lines, capacity, latency
from jdl.types import Transfers

__all__ = ["FairShare"]


@struct.dataclass
class FairShare(Lines):
    """Each node's line up and line down is shared fairly by the copies that a node sends and receives in an exchange.

    The rates are the max-min fair ones: no copy can be faster without a slower one becoming slower. They are found by
    progressive filling: all rates grow together, and those over a line that is full stop. Every copy keeps its rate
    from its start to its end, `arrival_ij = ready_j + latency_ij + bits_j / rate_ij`: what a copy that ends leaves free
    is not given to the others, and copies that start at different times share all the same. So the time is never less
    than that of a fluid model in which shares follow what is under way, and equals it where copies of one size start
    together over lines of one capacity.

    Args:
      up: bits a second that a node sends at most, f[] or f[n].
      down: bits a second that a node receives at most, f[] or f[n].
      latency: seconds: f[] for all links, or f[n, n] from sender (column) to receiver (row); with a server one row and
        column more, the last.
      server: bits a second of a server in each direction.

    >>> two = Transfers(jnp.array([0, 0]), jnp.array([1, 2]), jnp.ones(2, bool), jnp.full(2, 8.0), jnp.zeros(2), n=3)
    >>> FairShare(up=8.0, down=8.0, latency=0.0).arrivals(two).tolist()
    [2.0, 2.0]

    References:
      Bertsekas, Gallager, "Data Networks", 2nd edition 1992, section 6.5.2 (max-min flow control).
    """

    def arrivals(self, transfers: Transfers) -> jax.Array:
        n, used = transfers.n, transfers.used & (transfers.bits > 0)
        ups, downs = (capacity(rates, self.server, n) for rates in (self.up, self.down))
        rates = _fair(transfers.senders.ravel(), transfers.receivers.ravel(), used.ravel(), ups, downs)
        travel = jnp.where(used, transfers.bits / rates.reshape(used.shape), 0)
        return transfers.ready + latency(self.latency, transfers) + travel

    def all_to_all(self, ready: jax.Array, bits: jax.Array, used: jax.Array) -> jax.Array | None:
        """See `jdl.types.LinkTime`; None where lines or latencies differ.

        Those who send nothing receive one copy more than the others, so that their lines are full first, if any are.
        """
        if any(jnp.ndim(one) for one in (self.up, self.down, self.latency)):
            return None
        up, down, wait = (jnp.asarray(one, jnp.float32) for one in (self.up, self.down, self.latency))
        sends = used & (bits > 0)
        senders, others = (jnp.sum(one, axis=1, keepdims=True).astype(jnp.float32) for one in (sends, used & ~sends))
        fellows = jnp.maximum(senders - 1, 1)
        even = up / jnp.maximum(senders + others - 1, 1)
        to_others = jnp.minimum(even, down / jnp.maximum(senders, 1))
        left = jnp.where((others > 0) & (to_others < even), (up - others * to_others) / fellows, even)
        there = lambda rate: last_of_others(jnp.where(sends, ready + wait + bits / rate, -jnp.inf))
        to_senders = jnp.minimum(left, down / fellows)
        return jnp.where(sends, there(to_senders), there(to_others))


def _fair(senders: jax.Array, receivers: jax.Array, used: jax.Array, ups: jax.Array, downs: jax.Array) -> jax.Array:
    """The max-min fair rates of copies, f[e]; infinite where there is none.

    A line is full first among all lines that its copies cross if its share is the least there; the rates of its copies
    are final then. All such lines stop in one turn, so that equal nodes need one turn, whatever their number.
    """

    def share(lines, of, left, rates):
        count = jnp.zeros_like(lines).at[of].add(left.astype(jnp.float32))
        taken = jnp.zeros_like(lines).at[of].add(jnp.where(used & ~left, rates, 0))
        return jnp.where(count > 0, jnp.maximum(lines - taken, 0) / jnp.maximum(count, 1), jnp.inf)

    def turn(carry):
        rates, left = carry
        up, down = share(ups, senders, left, rates), share(downs, receivers, left, rates)
        of_copy = jnp.where(left, jnp.minimum(up[senders], down[receivers]), jnp.inf)
        least_up = jnp.full_like(up, jnp.inf).at[senders].min(of_copy)
        least_down = jnp.full_like(down, jnp.inf).at[receivers].min(of_copy)
        full = (up <= least_up)[senders] | (down <= least_down)[receivers]
        stops = left & full
        return jnp.where(stops, of_copy, rates), left & ~stops

    start = jnp.full(used.shape, jnp.inf, jnp.float32), used
    return jax.lax.while_loop(lambda carry: jnp.any(carry[1]), turn, start)[0]
