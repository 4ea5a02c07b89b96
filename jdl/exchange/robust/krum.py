"""Krum and Multi-Krum: the messages that are closest to their nearest others."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.exchange.robust.near import Near, mean_of, smallest
from jdl.exchange.robust.rule import ByDistance
from jdl.types import static

__all__ = ["Krum", "MultiKrum", "lowest"]


def lowest(squared: jax.Array, among: jax.Array, f: int, count: jax.Array) -> jax.Array:
    """bool[k], the `count` messages of lowest score among those in `among: bool[k]`.

    The score is the sum of squared distances to the m - f - 2 nearest others, at least one, where m counts `among`. At
    a tie the next nearest other decides. If only one other is counted, two messages that are nearest to each other
    always tie.
    """
    k = len(among)
    m = jnp.sum(among, dtype=jnp.int32)
    others = among[:, None] & among[None, :] & ~jnp.eye(k, dtype=bool)
    ascending = jnp.sort(jnp.where(others, squared, jnp.inf), axis=1)
    counted = jnp.minimum(jnp.maximum(m - f - 2, 1), m - 1)
    place = jnp.arange(k, dtype=jnp.int32)[None, :]
    score = jnp.sum(jnp.where(place < counted, ascending, 0), axis=1)
    following = jnp.sum(jnp.where(place == counted, ascending, 0), axis=1)
    return smallest(score, among, count, following)


@struct.dataclass
class Krum(ByDistance):
    """Krum: of the node's own message and those that arrived, the one closest to its nearest others.

    The score of each of m messages is the sum of its squared distances to the m - f - 2 nearest others, and at least
    one; the message of lowest score is the result. At a tie the next nearest other decides, and then the first message
    is taken, the node's own. All arrays of a message are one vector. The weights of W are ignored. It stands last in
    the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none between rounds; within a round the distances in some neighbourhoods, and the messages of a few nodes.

    Args:
      f: number of attackers among the messages; proofs ask for m > 2 f + 2.

    References:
      Blanchard, El Mhamdi, Guerraoui, Stainer 2017, Machine Learning with Adversaries, section 4.
    """

    f: int = static(1, minimum=0)

    def chosen(self, near: Near) -> jax.Array:
        return lowest(near.squared, near.arrived, self.f, jnp.int32(1)).astype(near.base.dtype)


@struct.dataclass
class MultiKrum(ByDistance):
    """Multi-Krum: the mean of the messages of lowest score, which is that of `Krum`.

    All arrays of a message are one vector. The weights of W are ignored. It stands last in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none between rounds; within a round the distances in some neighbourhoods, and the messages of a few nodes.

    Args:
      f: number of attackers among the messages.
      keep: number of messages that are averaged; by default all but f of those that arrived. Where fewer arrive, it is
        their mean.

    References:
      Blanchard, El Mhamdi, Guerraoui, Stainer 2017, Machine Learning with Adversaries, section 4 and the full paper's
      m-Krum.
    """

    f: int = static(1, minimum=0)
    keep: int | None = static(None, minimum=1)

    def chosen(self, near: Near) -> jax.Array:
        count = jnp.maximum(jnp.sum(near.arrived, dtype=jnp.int32) - self.f, 1)
        count = count if self.keep is None else jnp.int32(self.keep)
        return mean_of(lowest(near.squared, near.arrived, self.f, count), near.base)
