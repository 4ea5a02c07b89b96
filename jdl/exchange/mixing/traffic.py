"""What every row put on its links."""

from __future__ import annotations

import jax.numpy as jnp

from jdl import plan as plans
from jdl.types import Traffic, Wire

__all__ = ["traffic"]


def traffic(wire: Wire) -> Traffic:
    """What every row sent: one copy on each link used, whether or not it arrived; an empty message is not sent."""
    copies = jnp.where(wire.bits > 0, plans.out_degree(wire.plan), 0)
    return Traffic(bits=copies * wire.bits, messages=copies)
