"""Who is at the two ends of each link, and what is drawn for it."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl import plan as plans
from jdl.types import Key, Server, Wire

__all__ = ["ends", "uniform_of_links"]


def ends(wire: Wire) -> tuple[jax.Array, jax.Array]:
    """The ids of the receiver and of the sender of each link, i32 in the shape of the links; a server is -1.

    Args:
      wire: the messages of the round, whose plan lists its links one by one.
    """
    plan = wire.plan
    sender = wire.origin[plans.senders(plan.links)]
    if isinstance(plan.links, Server):
        return jnp.full_like(sender, -1), sender
    return plans.ids(plan)[plans.receivers(plan.links)], sender


def uniform_of_links(wire: Wire, key: Key) -> jax.Array:
    """A uniform number for each link, the same in every form of a plan, since it depends only on the two ids.

    In a symmetric plan both directions share it: the link fails, not one message. The server has the id -1.

    Args:
      wire: the messages of the round, whose plan lists its links one by one.
      key: a key of this exchange in this round.
    """
    receiver, sender = ends(wire)
    if wire.plan.symmetric:
        sender, receiver = jnp.minimum(sender, receiver), jnp.maximum(sender, receiver)
    fold = jnp.vectorize(lambda i, j: jax.random.uniform(jax.random.fold_in(jax.random.fold_in(key, i), j)))
    return fold(receiver, sender)
