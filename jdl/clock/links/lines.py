"""What all models of links share: the capacity of each node's line, and the latency between two nodes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks
from jdl.types import Transfers, number

__all__ = ["Lines", "capacity", "latency"]


@struct.dataclass
class Lines:
    """Each node has a line into the network, with a capacity in each direction; see `FairShare`."""

    up: jax.Array | float = number(1e8, minimum=1e-30)
    down: jax.Array | float = number(1e8, minimum=1e-30)
    latency: jax.Array | float = number(0.01, minimum=0)
    server: float = number(1e10, minimum=1e-30)


def capacity(of_nodes: jax.Array, server: jax.Array, n: int) -> jax.Array:
    """Bits a second of each node's line, and of the server's, which comes last: f[n + 1]."""
    rates = jnp.asarray(of_nodes, jnp.float32)
    need = f"need one number, or one for each of n={n} nodes"
    checks.require(rates.shape in ((), (n,)), f"got bandwidths of shape {rates.shape}, {need}; try up=1e8")
    return jnp.append(jnp.broadcast_to(rates, (n,)), jnp.asarray(server, jnp.float32))


def latency(seconds: jax.Array, transfers: Transfers) -> jax.Array:
    """The seconds that the first bit of each copy needs, in the shape of the links.

    Args:
      seconds: f[] for all; f[n, n], from sender (column) to receiver (row); or f[n + 1, n + 1] with the server last.
      transfers: the copies.
    """
    seconds, n = jnp.asarray(seconds, jnp.float32), transfers.n
    good = seconds.shape in ((), (n, n), (n + 1, n + 1))
    need = f"need one number, or a matrix of n={n} nodes (with a server one row and column more)"
    checks.require(good, f"got latencies of shape {seconds.shape}, {need}; try latency=0.01")
    return seconds if seconds.ndim == 0 else seconds[transfers.receivers, transfers.senders]
