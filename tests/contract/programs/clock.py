"""A clock: the time in seconds at which each node ends a round, computed from `Delivery`.

    c_i <- max(c_i + compute_i, max over arrived messages of c_j + compute_j + bits_j / bandwidth)

Node j sends after its own computation, and the receiver goes on when the last of its messages is there. Links work at
the same time, without a latency. A message that is lost, or was not sent, keeps nobody waiting. This is a product of
matrices in the max-plus algebra. It wraps any exchange, and changes no inbox.

Source: Baccelli, Cohen, Olsder, Quadrat 1992, Synchronization and Linearity (the recursion of a timed event graph).
"""

import jax
import jax.numpy as jnp
from flax import struct

from jdl import plan as plans
from jdl.exchange import Linear
from jdl.types import Exchange, number


@struct.dataclass
class Clock:
    """Keeps the clock of each node, beside any exchange.

    Args:
      compute: f[n], the time of each node's computation in a round, in seconds.
      bandwidth: the rate of each link, in bits per second.
      inner: the exchange that receives the messages next.
    """

    compute: jax.Array
    bandwidth: float = number(1e6, minimum=1)
    inner: Exchange = Linear()

    needs = frozenset({"peers"})
    breaks = frozenset()

    def init(self, message):
        return jnp.zeros_like(self.compute), self.inner.init(message)

    def apply(self, state, wire, key):
        clock, memory = state
        inbox, memory, deliveries = self.inner.apply(memory, wire, key)
        row = plans.ids(wire.plan)
        awake = jnp.ones(row.shape, bool) if wire.plan.active is None else wire.plan.active
        works = awake if wire.plan.works is None else awake & wire.plan.works
        sends = clock.at[row].add(jnp.where(works, self.compute[row], 0))
        ends = sends
        for delivery in deliveries:
            links = plans.one_by_one(delivery.plan).links
            who, to = plans.senders(links), row[plans.receivers(links)]
            there = sends[delivery.origin[who]] + (delivery.bits / self.bandwidth)[who]
            ends = ends.at[to].max(jnp.where(plans.arrived(links) & (delivery.bits > 0)[who], there, -jnp.inf))
        return inbox, (ends, memory), deliveries


def reading(models, state, simulation):
    """A metric f[n]: the clock of each node, for `metrics={"clock": reading}`. `Clock` is the first of the network."""
    return state.exchange_state[0][0]
