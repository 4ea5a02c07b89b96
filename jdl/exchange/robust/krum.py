"""Krum and Multi-Krum: the messages that are closest to their nearest others."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.exchange.robust.near import Near, mean_of, smallest
from jdl.exchange.robust.rule import ByDistance
from jdl.types import static

__all__ = ["Krum", "MultiKrum", "scores"]


def scores(squared: jax.Array, among: jax.Array, f: int) -> jax.Array:
    """f[k], of each message in `among: bool[k]` the sum of squared distances to its m - f - 2 nearest others, of m.

    There is at least one nearest other. What is not in `among` has the score infinity.
    """
    k = len(among)
    others = among[:, None] & among[None, :] & ~jnp.eye(k, dtype=bool)
    ascending = jnp.sort(jnp.where(others, squared, jnp.inf), axis=1)
    count = jnp.maximum(jnp.sum(among, dtype=jnp.int32) - f - 2, 1)
    nearest = jnp.arange(k, dtype=jnp.int32) < jnp.minimum(count, jnp.sum(among, dtype=jnp.int32) - 1)
    return jnp.where(among, jnp.sum(jnp.where(nearest[None, :], ascending, 0), axis=1), jnp.inf)


@struct.dataclass
class Krum(ByDistance):
    """Krum: of the node's own message and those that arrived, the one closest to its nearest others.

    The score of each of m messages is the sum of its squared distances to the m - f - 2 nearest others, and at least
    one; the message of lowest score is the result, the node's own at a tie. All arrays of a message are one vector. The
    weights of W are ignored. It stands last in the network.

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
        best = smallest(scores(near.squared, near.arrived, self.f), near.arrived, jnp.int32(1))
        return best.astype(near.base.dtype)


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
        best = smallest(scores(near.squared, near.arrived, self.f), near.arrived, count)
        return mean_of(best, near.base)
