"""Links that do not disturb each other."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.clock.links.all_to_all import last_of_others
from jdl.clock.links.lines import latency
from jdl.types import Transfers, number

__all__ = ["Parallel"]


@struct.dataclass
class Parallel:
    """All links work at the same time, each at its full rate: `arrival_ij = ready_j + latency_ij + bits_j / rate`.

    Args:
      rate: bits a second of each link.
      latency: seconds: f[] for all links, or f[n, n] from sender (column) to receiver (row); with a server one row and
        column more, the last.
    """

    rate: float = number(1e8, minimum=1e-30)
    latency: jax.Array | float = number(0.01, minimum=0)

    def arrivals(self, transfers: Transfers) -> jax.Array:
        return transfers.ready + latency(self.latency, transfers) + transfers.bits / jnp.float32(self.rate)

    def all_to_all(self, ready: jax.Array, bits: jax.Array, used: jax.Array) -> jax.Array | None:
        """See `jdl.types.LinkTime`; None where latencies differ."""
        if jnp.ndim(self.latency):
            return None
        there = ready + jnp.asarray(self.latency, jnp.float32) + bits / jnp.float32(self.rate)
        return last_of_others(jnp.where(used & (bits > 0), there, -jnp.inf))
