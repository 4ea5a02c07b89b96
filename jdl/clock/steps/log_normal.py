"""Steps of nodes that differ, and that vary from round to round, by log-normal factors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.clock.steps.of_each import of_each
from jdl.types import Key, number, static

__all__ = ["LogNormal"]


@struct.dataclass
class LogNormal:
    """The time of a step varies by log-normal factors: one of each node, which stays, and one of each node and round.

        s_i(t) = median exp(spread a_i + jitter b_i(t)),    a_i and b_i(t) standard normal and independent

    FedScale draws the time of a client anew in each round, 5 ms an example times exp(1 + 0.6 b): the code of its client
    metadata (read) is `LogNormal(median=0.005 * examples * math.e, spread=0.0, jitter=0.6)`.

    Args:
      median: the median time of a step in seconds, f[] or f[n].
      spread: the standard deviation of the logarithm over nodes. 0.5 makes one node in 40 slower than 2.7 medians.
      jitter: the standard deviation of the logarithm over rounds.
      seed: draws the factors of the nodes, which are the same for all seeds of a run.

    >>> float(LogNormal(0.1, spread=0.0, jitter=0.0).seconds(0, jax.random.key(0), 2)[1])
    0.10000000149011612
    """

    median: jax.Array | float = number(0.1, minimum=0)
    spread: float = number(0.5, minimum=0)
    jitter: float = number(0.1, minimum=0)
    seed: int = static(0, minimum=0)

    def seconds(self, t: jax.Array, key: Key, n: int) -> jax.Array:
        of_nodes = jax.random.normal(jax.random.key(self.seed), (n,), jnp.float32)
        of_round = jax.random.normal(key, (n,), jnp.float32)
        exponent = jnp.float32(self.spread) * of_nodes + jnp.float32(self.jitter) * of_round
        return of_each("LogNormal.median", self.median, n) * jnp.exp(exponent)
