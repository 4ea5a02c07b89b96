"""FoolsGold: clients whose changes have been alike count less."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import plan as plans
from jdl import tree
from jdl.exchange import mixing
from jdl.exchange.robust.combine import combined
from jdl.exchange.robust.memory import plain_parts
from jdl.types import Delivery, ExchangeState, Key, Message, Plan, Wire

__all__ = ["FoolsGold", "trust"]


def trust(cosines: jax.Array, there: jax.Array | None = None) -> jax.Array:
    """f[n], how much each of n histories counts, 0 to 1; ones if all are the same.

    Args:
      cosines: f[n, n], the cosine similarity of each pair.
      there: bool[n], which histories there are, or None for all. Similarities to the others are zero.

    >>> x = jnp.array([[0.0, 1.0], [1.0, 0.0], [0.5**0.5, -(0.5**0.5)]])
    >>> trust(x @ x.T).tolist()
    [1.0, 0.0, 0.0]
    """
    others = cosines * (1 - jnp.eye(len(cosines), dtype=cosines.dtype))
    most = jnp.max(others, axis=1)
    pardoned = (most[:, None] < most[None, :]) & (most[None, :] != 0)
    others = others * jnp.where(pardoned, most[:, None] / jnp.where(pardoned, most[None, :], 1), 1)
    weights = jnp.clip(1 - jnp.max(others, axis=1), 0, 1)
    weights = weights if there is None else jnp.where(there, weights, 0)
    largest = jnp.max(weights)
    scaled = weights / jnp.where(largest > 0, largest, 1)
    scaled = jnp.where(scaled >= 1, 0.99, scaled)
    logits = jnp.where(scaled > 0, jnp.log(jnp.where(scaled > 0, scaled, 1) / (1 - scaled)) + 0.5, 0)
    counts = jnp.where(largest > 0, jnp.clip(logits, 0, 1), 1)
    return counts if there is None else jnp.where(there, counts, 0)


@struct.dataclass
class FoolsGold:
    """FoolsGold: a server gives less weight to clients whose changes, summed over the rounds, point the same way.

    The result is sum_j w_j a_j x_j, with the clients' weights w. To find a_j, the sum of j's changes is compared with
    that of every other client by cosine similarity, which is lowered if the other client is more similar to a third
    ("pardoning"). a_j is one minus the largest of these, divided by the largest a of all clients, and then replaced by
    ln(a / (1 - a)) + 1/2, clipped to 0 to 1. Where all sums are alike, the result is the mean. All arrays of a message
    are one vector. It stands last in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      the sum of the changes of each client, n models, and n^2 similarities within a round.

    References:
      Fung, Yoon, Beschastnikh 2020, The Limitations of Federated Learning in Sybil Settings, algorithm 1, read in
      public copies of the authors' code.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"one_by_one", "server"})
    breaks: ClassVar[frozenset[str]] = frozenset({"column_stochastic", "per_link", "push"})

    def init(self, message: Message) -> ExchangeState:
        return [jnp.zeros(x.shape, x.dtype) for x in plain_parts(message)]

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        sums = list(state)

        def rule(plan: Plan, own: Message, sent: Message) -> Message:
            mixing.require_real(own)
            arrived, ids = plan.links.weights != 0, wire.origin
            finite = arrived
            for x in sent:
                finite = finite & jnp.all(jnp.isfinite(x.reshape(x.shape[0], -1)), axis=1)
            for i, x in enumerate(sent):
                sums[i] = sums[i].at[ids].add(tree.where_rows(finite, x, jnp.zeros((), x.dtype)).astype(sums[i].dtype))
            flat = [s.reshape(s.shape[0], -1).astype(jnp.float32) for s in sums]
            norms = jnp.sqrt(sum(jnp.sum(x * x, axis=1) for x in flat))
            unit = 1 / jnp.where(norms > 0, norms, 1)
            units = [x * unit[:, None] for x in flat]
            cosines = sum(jnp.einsum("id,jd->ij", x, x, precision="highest") for x in units)
            total = jnp.sum(plan.links.weights)
            weights = plan.links.weights / jnp.where(total > 0, total, 1)
            chosen = jnp.where(finite, weights * trust(cosines)[ids].astype(weights.dtype), 0)
            return combined(plans.one_by_one(plan), own, sent, chosen[None])

        return mixing.inboxes(wire, rule), sums, mixing.delivered(wire)
