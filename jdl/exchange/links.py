"""Who is at the two ends of each link, and what is drawn for it."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jdl import plan as plans
from jdl.types import Key, Server, Wire

__all__ = ["ends", "several_of_links", "speakers", "uniform_of_links"]


def speakers(wire: Wire) -> jax.Array:
    """The id of the node that sends on each link, i32 in the shape of the links; a server is -1.

    Args:
      wire: the messages of the round, whose plan lists its links one by one.
    """
    links = wire.plan.links
    known = getattr(links, "speakers", None)
    return wire.origin[plans.senders(links)] if known is None else known


def ends(wire: Wire) -> tuple[jax.Array, jax.Array]:
    """The ids of the receiver and of the sender of each link, i32 in the shape of the links; a server is -1.

    Args:
      wire: the messages of the round, whose plan lists its links one by one.
    """
    plan = wire.plan
    sender = speakers(wire)
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
    return _drawn(wire, key, jax.random.uniform, "(),()->()")


def several_of_links(wire: Wire, key: Key, draw: Callable[[Key], jax.Array], size: int) -> jax.Array:
    """What is drawn for each link, `[..., size]` after the shape of the links, as `uniform_of_links` draws one number.

    Args:
      wire: the messages of the round, whose plan lists its links one by one.
      key: a key of this exchange in this round.
      draw: from a key to an array `[size]`.
      size: the length of what is drawn.
    """
    if not ends(wire)[1].size:
        return jnp.zeros((*ends(wire)[1].shape, size), bool)
    return _drawn(wire, key, draw, "(),()->(k)")


def _drawn(wire: Wire, key: Key, draw: Callable[[Key], jax.Array], signature: str) -> jax.Array:
    receiver, sender = ends(wire)
    if wire.plan.symmetric:
        sender, receiver = jnp.minimum(sender, receiver), jnp.maximum(sender, receiver)
    fold = lambda i, j: draw(jax.random.fold_in(jax.random.fold_in(key, i), j))
    return jnp.vectorize(fold, signature=signature)(receiver, sender)
