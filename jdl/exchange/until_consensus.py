"""As many steps of gossip a round as models need to come close."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import plan as plans
from jdl import tree
from jdl.exchange.linear import Linear
from jdl.exchange.repeated import steps
from jdl.types import Delivery, Exchange, ExchangeState, Key, Message, Wire, number, static

__all__ = ["UntilConsensus"]


@struct.dataclass
class UntilConsensus:
    """Consensus control: gossip is repeated in a round until messages are close enough to each other.

    Steps are made until (1/m) sum_i ||x_i - xbar||^2 <= distance over the m honest nodes that are awake, at least one
    and at most `most`. distance = 0 is `Repeated(most)` unless all become equal before, distance = inf plain gossip. A
    distance that the graph cannot reach (it has several components, say) costs `most` steps. As in `Repeated`, what
    comes before it in the network acts on the first step alone, and what comes after it on every step.

    Nodes could not know the distance without asking all others: this measures what such a control could save, and is no
    protocol. What it would take to measure the distance is not counted as traffic.

    Sends:
      the message, once on every link in each step that is really made.

    Args:
      distance: squared consensus distance at which gossip stops, f[].
      most: the largest number of steps a round.
      inner: the exchange that makes one gossip step.

    References:
      Kong, Lin, Koloskova, Jaggi, Stich 2021, Consensus Control for Decentralized Deep Learning (abstract read).
    """

    distance: float = number(0.01, minimum=0)
    most: int = static(20, minimum=1)
    inner: Exchange = Linear()

    needs: ClassVar[frozenset[str]] = frozenset({"peers", "at_once"})
    breaks: ClassVar[frozenset[str]] = frozenset({"per_link", "each"})

    def init(self, message: Message) -> ExchangeState:
        return self.inner.init(message)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        m, active = plans.rows(wire.plan), wire.plan.active
        counts = jnp.ones(m, bool) if active is None else active
        if wire.roles is not None:
            counts &= wire.roles.honest[plans.ids(wire.plan)]

        def apart(x: Message) -> jax.Array:
            found = _consensus_distance(x, counts)
            return found > jnp.asarray(self.distance, found.dtype)

        return steps(self.inner, self.most, state, wire, key, lambda k, answer, x, before: answer, goes_on=apart)


def _consensus_distance(x: Message, counts: jax.Array) -> jax.Array:
    """(1/m) sum_i ||x_i - xbar||^2 over the m rows that count, in the default float type."""
    real = jnp.result_type(float)
    first, count = jnp.argmax(counts), jnp.maximum(jnp.sum(counts), 1).astype(real)
    total = jnp.zeros((), real)
    for leaf in jax.tree.leaves(x):
        # From one of the nodes, so that equal messages are at distance zero to the last bit.
        apart = jnp.where(tree.column(counts, leaf), leaf - leaf[first][None], 0).astype(real)
        mean = jnp.sum(apart, axis=0) / count
        total += jnp.sum(jnp.where(tree.column(counts, leaf), jnp.square(apart - mean[None]), 0))
    return total / count
