"""Centred clipping: no message pulls the aggregate further than a threshold."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jdl import plan as plans
from jdl.exchange import mixing
from jdl.exchange.robust.combine import combined
from jdl.exchange.robust.distances import coefficients
from jdl.exchange.robust.memory import plain_parts
from jdl.exchange.robust.near import Near, clipping, from_mixture, usable
from jdl.types import Delivery, ExchangeState, Key, Message, Plan, Server, Wire, number, static

__all__ = ["CentredClipping"]


@struct.dataclass
class CentredClipping:
    """Centred clipping: v <- v + mean_j (x_j - v) min(1, tau / ||x_j - v||), from the last aggregate on.

    Among peers the mean is over the node's own message and those that arrived, and v begins at its own. To a server, v
    begins at what it aggregated last, and at zero in the first round. All arrays of a message are one vector. The
    weights of W are ignored. It stands last in the network.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      the last aggregate of a server; within a round the messages of a few nodes.

    Args:
      tau: the largest distance over which a message pulls, in the unit of messages. Far above all distances it is the
        unweighted mean.
      iterations: number of iterations of a round.

    References:
      Karimireddy, He, Jaggi 2021, Learning from History for Byzantine Robust Optimization, algorithm 2.
    """

    tau: float = number(10.0, minimum=0)
    iterations: int = static(1, minimum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"one_by_one"})
    breaks: ClassVar[frozenset[str]] = frozenset({"column_stochastic", "per_link", "push"})

    def init(self, message: Message) -> ExchangeState:
        return [jnp.zeros(x.shape[1:], x.dtype) for x in plain_parts(message)]

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        last = list(state)

        def rule(plan: Plan, own: Message, sent: Message) -> Message:
            mixing.require_real(own)
            plan, pairs = plans.one_by_one(plan), self.iterations > 1
            if not isinstance(plan.links, Server):
                chosen = coefficients(self._around_own, plan, own, sent, pairs=pairs)
                return combined(plan, own, sent, chosen)
            chosen = coefficients(self._around_base, plan, own, sent, pairs=pairs, base=state)
            last[:] = combined(plan, own, sent, chosen, state)
            heard = jnp.any(plan.links.weights != 0)  # a client's message is a change: of no message it is zero
            return [jnp.where(heard, x, jnp.zeros((), x.dtype)) for x in last]

        return mixing.inboxes(wire, rule), last, mixing.delivered(wire)

    def _around_own(self, near: Near) -> jax.Array:
        chosen = self._around_base(near)
        return chosen.at[0].set(1 - jnp.sum(chosen[1:]))

    def _around_base(self, near: Near) -> jax.Array:
        """The coefficients c of v = base + sum_j c_j (x_j - base)."""
        tau, there = jnp.asarray(self.tau, near.base.dtype), usable(near)
        share = there.astype(near.base.dtype) / jnp.maximum(jnp.sum(near.arrived, dtype=near.base.dtype), 1)
        first = share * clipping(near.base, tau)
        if self.iterations == 1:
            return first
        squared = jnp.pad(near.squared, (0, 1)).at[-1, :-1].set(near.base).at[:-1, -1].set(near.base)

        def step(_, chosen):
            mixture = jnp.append(chosen, 1 - jnp.sum(chosen))
            pull = share * clipping(from_mixture(squared, mixture)[:-1], tau)
            return chosen * (1 - jnp.sum(pull)) + pull

        return jax.lax.fori_loop(np.int32(1), np.int32(self.iterations), step, first)
