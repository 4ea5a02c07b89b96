"""Bucketing: means of random groups."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl.exchange.robust.geometric_median import GeometricMedian
from jdl.exchange.robust.near import mean_of, ranks
from jdl.exchange.robust.pre import PreAggregation
from jdl.exchange.robust.rule import Rule
from jdl.types import static

__all__ = ["Bucketing"]


@struct.dataclass
class Bucketing(PreAggregation):
    """Bucketing: messages are averaged in random buckets of a few, and another rule is applied to the means.

    The messages are the node's own and those that arrived, m in all. They are put into random order, and cut into
    ceil(m / size) buckets, of which the last may be smaller. Each node draws by itself, anew in each round. It stands
    last in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      none between rounds; within a round the distances in some neighbourhoods, and twice the messages of a few nodes.

    Args:
      size: number of messages in a bucket. With 1 the result is that of the other rule alone; where size f exceeds half
        of all messages, attackers may hold most buckets.
      rule: the rule that is given the means.

    Raises:
      InputError: if the rule remembers, or measures from the node's own message.

    References:
      Karimireddy, He, Jaggi 2022, Byzantine-Robust Learning on Heterogeneous Datasets via Bucketing, algorithm 1.
    """

    size: int = static(2, minimum=1)
    rule: Rule = GeometricMedian()

    draws: ClassVar[bool] = True

    def mixed(self, squared: jax.Array, there: jax.Array, drawn: jax.Array) -> tuple[jax.Array, jax.Array]:
        k = len(there)
        bucket = ranks(jnp.where(there, drawn, jnp.inf)) // self.size
        members = there[None, :] & (bucket[None, :] == jnp.arange(-(-k // self.size), dtype=jnp.int32)[:, None])
        return mean_of(members, squared), jnp.any(members, axis=1)
