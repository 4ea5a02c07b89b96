"""Models that travel: some nodes take over what others send, and the rest waits."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jdl.types import Edges, Plan

__all__ = ["handoff"]


def handoff(n: int, senders: jax.Array, receivers: jax.Array, weights: jax.Array) -> Plan:
    """The plan in which receivers take weighted sums of what senders hold, and nothing of their own.

    Row stochastic: W_ij = sum of the weights from j to i in the rows of receivers, W_ii = 1 in all others. Senders and
    receivers are active. A sender that receives nothing keeps its own copy, which goes stale; a receiver that did not
    send takes its local step in vain, since nothing of it enters its row.

    Args:
      n: number of nodes.
      senders: i32[e]. Where they are one node, the weight is its own and nothing is sent.
      receivers: i32[e]. Where they are one node, the weight is its own and nothing is sent.
      weights: f[e], which sum to one for each receiver.

    >>> import jax.numpy as jnp
    >>> from jdl.topology import to_dense
    >>> print(to_dense(handoff(3, jnp.array([0, 0]), jnp.array([1, 0]), jnp.array([1.0, 1.0]))))
    [[1. 0. 0.]
     [1. 0. 0.]
     [0. 0. 1.]]
    """
    stays = senders == receivers
    takes = jnp.zeros(n, bool).at[receivers].set(True)
    own = jnp.where(takes, 0, 1).astype(weights.dtype).at[receivers].add(jnp.where(stays, weights, 0))
    links = Edges(weights=jnp.where(stays, 0, weights), used=~stays, senders=senders, receivers=receivers)
    return Plan(links=links, self_weights=own, active=takes.at[senders].set(True), stochastic="row")
