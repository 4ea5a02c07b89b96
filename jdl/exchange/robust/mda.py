"""Minimum-diameter averaging."""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import checks
from jdl.exchange.robust.near import Near, mean_of
from jdl.exchange.robust.rule import ByDistance
from jdl.types import static

__all__ = ["MDA"]

# All of them are tried one after another: for 1,000 nodes that hold 16 messages each, 2,000 take some seconds a round.
SUBSETS = 2000


@struct.dataclass
class MDA(ByDistance):
    """Minimum-diameter averaging: the mean of the m - f messages of smallest diameter, found by trying all subsets.

    The diameter is the largest distance between two messages of a subset; m counts the node's own message and those
    that arrived. Of subsets with the same diameter the first is taken. All arrays of a message are one vector. The
    weights of W are ignored. It stands last in the network. More than 2,000 subsets are refused.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none between rounds; within a round the distances in some neighbourhoods, and the messages of a few nodes.

    Args:
      f: number of messages left out; the number of attackers among them.

    Raises:
      InputError: if f of the messages at a node can be chosen in more than 2,000 ways.

    References:
      El Mhamdi, Guerraoui, Guirguis, Hoang, Rouault 2020, Genuinely Distributed Byzantine Machine Learning (MDA).
    """

    f: int = static(1, minimum=0)

    def chosen(self, near: Near) -> jax.Array:
        k = len(near.arrived)
        count = math.comb(k, min(self.f, k - 1))
        got = f"got MDA(f={self.f}) over {k} messages, which leaves out f in {count:,} ways"
        checks.require(count <= SUBSETS, f"{got}, need at most {SUBSETS:,}; try MultiKrum(f={self.f})")
        subsets = [np.isin(np.arange(k), chosen) for chosen in itertools.combinations(range(k), min(self.f, k - 1))]
        left_out = jnp.asarray(np.stack(subsets[::-1]))  # so that the first subset keeps the first messages
        # Subsets that leave out what did not arrive keep too much, and do not count.
        leaves = jnp.minimum(self.f, jnp.sum(near.arrived, dtype=jnp.int32) - 1)
        squared = jnp.minimum(near.squared, jnp.finfo(near.squared.dtype).max)

        def step(i, best):
            kept = near.arrived & ~left_out[i]
            diameter = jnp.max(jnp.where(kept[:, None] & kept[None, :], squared, 0))
            valid = jnp.sum(near.arrived & left_out[i], dtype=jnp.int32) == leaves
            diameter = jnp.where(valid, diameter, jnp.inf)
            better = diameter < best[0]
            return jnp.where(better, diameter, best[0]), jnp.where(better, kept, best[1])

        start = (jnp.asarray(jnp.inf, squared.dtype), near.arrived)
        return mean_of(jax.lax.fori_loop(np.int32(0), np.int32(count), step, start)[1], near.base)
