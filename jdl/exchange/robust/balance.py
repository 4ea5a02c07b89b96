"""BALANCE: a node listens to those whose models are close to its own, and less far from round to round."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jdl import plan as plans
from jdl.exchange import mixing
from jdl.exchange.robust.combine import combined
from jdl.exchange.robust.distances import coefficients
from jdl.exchange.robust.near import Near, mean_of
from jdl.exchange.robust.sketch import measured
from jdl.types import Delivery, ExchangeState, Key, Message, Plan, Wire, number, static

__all__ = ["Balance"]


@struct.dataclass
class Balance:
    """BALANCE: alpha x_i + (1 - alpha) mean of the x_j with ||x_j - x_i|| <= gamma exp(-kappa t / rounds) ||x_i||.

    Where no message is accepted, a node keeps its own. All arrays of a message are one vector. The weights of W are
    ignored. It stands last in the network. With a `sketch`, distances and norms are those of count sketches, which is
    Sketchguard: x is multiplied by random signs, of which all nodes draw the same in a round, and coordinate i is added
    to place i mod `sketch`; what is averaged are the messages themselves.

    Sends:
      the message, as it is, on every link of the plan.

    Memory:
      the number of rounds so far; within a round the messages of a few nodes, and all sketches.

    Args:
      gamma: the largest distance of an accepted message in the first round, in norms of a node's own.
      kappa: how fast this distance falls, at least 0.
      rounds: the number of rounds in which it falls by exp(-kappa).
      alpha: weight of the node's own message, 0 to 1.
      sketch: length of a count sketch of each array; None to measure the messages themselves.

    References:
      Fang, Zhang, Hairi, Khanduri, Liu, Lu, Liu, Gong 2024, Byzantine-Robust Decentralized Federated Learning, and
      Sketchguard, read in the code of Murmura (`balance.py`, `sketchguard.py` of Cloudslab/murmura). There a node that
      accepts no message takes the closest, places of a sketch are drawn, and Sketchguard accepts more for a while after
      rounds in which little was accepted.
    """

    gamma: float = number(2.0, minimum=0)
    kappa: float = number(1.0, minimum=0)
    rounds: float = number(100.0, minimum=1)
    alpha: float = number(0.5, minimum=0, maximum=1)
    sketch: int | None = static(None, minimum=1)

    needs: ClassVar[frozenset[str]] = frozenset({"one_by_one", "peers"})
    breaks: ClassVar[frozenset[str]] = frozenset({"column_stochastic", "per_link", "push"})

    def init(self, message: Message) -> ExchangeState:
        return jnp.int32(0)

    def apply(self, state: ExchangeState, wire: Wire, key: Key) -> tuple[Message, ExchangeState, tuple[Delivery, ...]]:
        def rule(plan: Plan, own: Message, sent: Message) -> Message:
            mixing.require_real(own)
            plan = plans.one_by_one(plan)
            mine, theirs = measured(own, sent, self.sketch, key)
            squares = [jnp.sum(jnp.square(x.reshape(x.shape[0], -1)), axis=1) for x in mine]
            dtype = jnp.dtype("float64") if any(x.dtype == "float64" for x in own) else jnp.dtype("float32")
            norm = sum((x.astype(dtype) for x in squares), start=jnp.zeros(squares[0].shape, dtype))
            share = jnp.exp(-jnp.asarray(self.kappa, dtype) * state.astype(dtype) / jnp.asarray(self.rounds, dtype))
            limit = jnp.square(jnp.asarray(self.gamma, dtype) * share) * norm
            return combined(plan, own, sent, coefficients(self._chosen, plan, mine, theirs, pairs=False, extra=limit))

        return mixing.inboxes(wire, rule), state + jnp.int32(1), mixing.delivered(wire)

    def _chosen(self, near: Near) -> jax.Array:
        accepted = (near.arrived & (near.base <= near.extra)).at[0].set(False)
        others = (1 - jnp.asarray(self.alpha, near.base.dtype)) * mean_of(accepted, near.base)
        return others.at[0].set(1 - jnp.sum(others))
