"""Lies whose distances to the honest messages are no larger in sum than those of an honest message."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.exchange.attacks.distances import apart
from jdl.exchange.attacks.liars import Attack, mean, seen
from jdl.exchange.attacks.min_max import direction_of
from jdl.exchange.linear import Linear
from jdl.types import Exchange, Key, Message, PyTree, Wire, static

__all__ = ["MinSum"]


@struct.dataclass
class MinSum(Attack):
    """Min-sum attack: liars send mu + gamma p, whose summed squared distance to the honest is at most an honest one's.

    gamma is the largest number with sum_i ||mu + gamma p - x_i||^2 <= max_j sum_i ||x_j - x_i||^2. With h honest
    messages, of which x_j is farthest from their mean mu, gamma is ||x_j - mu|| / ||p||. See `MinMax` for p.

    Sends:
      one false message, the same at all liars, of the same size as the true one.

    Args:
      direction: "unit", "std" or "sign".
      least: whether the bound is the smallest sum of an honest message, as in public code, and not the largest.
      inner: the exchange that receives the messages next.

    References:
      Shejwalkar, Houmansadr 2021, Manipulating the Byzantine: Optimizing Model Poisoning Attacks and Defenses for
      Federated Learning (a public copy of its code was read, which takes the smallest sum).
    """

    direction: str = static("std")
    least: bool = static(False)
    inner: Exchange = Linear()

    def lies(self, memory: PyTree, wire: Wire, key: Key) -> tuple[Message, PyTree]:
        honest = seen(wire)
        centre = mean(honest, wire.sent)
        p = direction_of(self.direction, honest, wire.sent, centre)
        squares = jax.vmap(tree.norm_squared)(apart(honest, wire.sent, centre))
        # sum_i ||y - x_i||^2 = h ||y - mu||^2 + sum_i ||x_i - mu||^2, for y = x_j as for y = mu + gamma p.
        reach = jnp.min(jnp.where(honest, squares, jnp.inf)) if self.least else jnp.max(squares)
        size = tree.norm_squared(p)
        possible = (size > 0) & jnp.isfinite(reach)
        gamma = jnp.sqrt(jnp.where(possible, reach, 0) / jnp.where(possible, size, 1))
        return tree.axpy(gamma, p, centre), memory
