"""The nodes whose models are evaluated where evaluating all would take too long."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl.rng import key_of
from jdl.types import Key

__all__ = ["sampled_nodes"]


def sampled_nodes(key: Key, n: int, count: int, honest: jax.Array | None = None) -> jax.Array:
    """A sample of nodes drawn without replacement, the same in all rounds of a run.

    Args:
      key: the key of the run; one seed always gives the same sample.
      n: the number of nodes.
      count: the number of nodes in the sample, at most n.
      honest: bool[n], the nodes to draw from; others are drawn only if these are too few. None for all.

    Returns:
      i32[count], the ids in increasing order.

    >>> sampled_nodes(jax.random.key(0), n=5, count=5).tolist()
    [0, 1, 2, 3, 4]
    """
    order = jax.random.permutation(key_of(key, "evaluation", 0), jnp.arange(n, dtype=jnp.int32))
    if honest is not None:
        order = order[jnp.argsort(~honest[order], stable=True)]
    return jnp.sort(order[:count])
