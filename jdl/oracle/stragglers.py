"""Slow nodes: they take fewer local steps in a round."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct

from jdl.types import Data, number, static

__all__ = ["Stragglers"]

# Folded into a node's keys, for who is slow and by how much: the ASCII codes of "slow" and "step".
SLOW, STEP = 0x736C6F77, 0x73746570


@struct.dataclass
class Stragglers:
    """Stragglers: a share of the nodes takes at most `most` local steps in a round, the others as many as they may.

    Slow nodes are drawn once, or anew in every round. With `least`, each takes a number of steps that is uniform on
    {least, ..., most}, drawn anew in every round. A slow node with no step left sends what it has.

    Args:
      share: probability of a node to be slow, 0 to 1.
      most: the largest number of local steps of a slow node in a round.
      least: their smallest number, at most `most`; None for `most`.
      anew: whether slow nodes are drawn anew in every round (True), or once (False).

    References:
      Li, Sahu, Zaheer, Sanjabi, Talwalkar, Smith 2020, Federated Optimization in Heterogeneous Networks, whose devices
      take fewer epochs.
    """

    share: float = number(0.25, minimum=0, maximum=1)
    most: int | jax.Array = number(1, minimum=0)
    least: int | jax.Array | None = number(None, minimum=0)
    anew: bool = static(False)

    def steps(self, inner: Callable[[Data], jax.Array | None], data: Data) -> jax.Array:
        """The budget of this node in this round, i32[]: the largest whole number where nothing limits it."""
        whole = lambda x: jnp.asarray(x).astype(jnp.int32)
        slow = jax.random.uniform(jax.random.fold_in(data.key if self.anew else data.order_key, SLOW)) < self.share
        steps = whole(self.most)
        if self.least is not None:
            own = jax.random.fold_in(data.key, STEP)
            steps = jax.random.randint(own, (), whole(self.least), steps + 1, jnp.int32)
        budget = inner(data)
        budget = jnp.int32(jnp.iinfo(jnp.int32).max) if budget is None else budget
        return jnp.where(slow, jnp.minimum(steps, budget), budget)
