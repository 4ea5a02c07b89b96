"""The traffic of a round."""

from __future__ import annotations

import jax.numpy as jnp

from jdl import plan as plans
from jdl.types import Traffic, Wire

__all__ = ["traffic"]


def traffic(wire: Wire) -> Traffic:
    """Count the bits and messages that every row sends: one copy on each of its links, whether or not it arrives.

    Args:
      wire: the messages of the round, and the plan. An empty message (0 bits) is not sent.

    Returns:
      The bits and the messages of each row, [m].
    """
    copies = jnp.where(wire.bits > 0, plans.out_degree(wire.plan), 0)
    return Traffic(bits=copies * wire.bits, messages=copies)
