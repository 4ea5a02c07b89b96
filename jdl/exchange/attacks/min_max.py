"""Lies as far from the honest mean as honest messages are from each other."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import checks, tree
from jdl.exchange.attacks.distances import apart, inner_products, largest_distance
from jdl.exchange.attacks.liars import Attack, deviation, mean, seen
from jdl.exchange.linear import Linear
from jdl.types import Exchange, Key, Message, PyTree, Wire, static

__all__ = ["DIRECTIONS", "MinMax", "direction_of"]

# How the direction of a lie is made from the mean and the deviation of the honest messages.
DIRECTIONS = ("unit", "std", "sign")


@struct.dataclass
class MinMax(Attack):
    """Min-max attack: liars send mu + gamma p, no farther from any honest message than two honest ones are apart.

    mu is the mean of the honest messages, p the direction -mu / ||mu||, -sd or -sign(mu), and gamma the largest number
    with max_i ||mu + gamma p - x_i|| <= max_ij ||x_i - x_j||. It is the smallest root of the quadratic equations of all
    i, where the authors' code halves an interval.

    Sends:
      one false message, the same at all liars, of the same size as the true one.

    Memory:
      none between rounds; within a round the messages once more, and s^2 distances of s messages.

    Args:
      direction: "unit", "std" or "sign".
      inner: the exchange that receives the messages next.

    References:
      Shejwalkar, Houmansadr 2021, Manipulating the Byzantine: Optimizing Model Poisoning Attacks and Defenses for
      Federated Learning (public copies of its code were read: the deviation has ddof 1).
    """

    direction: str = static("std")
    inner: Exchange = Linear()

    def lies(self, memory: PyTree, wire: Wire, key: Key) -> tuple[Message, PyTree]:
        honest = seen(wire)
        centre = mean(honest, wire.sent)
        p = direction_of(self.direction, honest, wire.sent, centre)
        each = apart(honest, wire.sent, centre)
        size, along = tree.dot(p, p), inner_products(each, p)
        a = jax.vmap(tree.norm_squared)(each)
        # a_i - 2 gamma b_i + gamma^2 q = the largest squared distance; in units of ||p|| nothing overflows.
        length = jnp.sqrt(size)
        b = along / jnp.where(length > 0, length, 1)
        rest = jnp.maximum(largest_distance(each, honest) - a, 0)
        roots = jnp.where(honest, b + jnp.sqrt(jnp.square(b) + rest), jnp.inf)
        least = jnp.min(roots)
        gamma = jnp.where((length > 0) & jnp.isfinite(least), least, 0) / jnp.where(length > 0, length, 1)
        return tree.axpy(gamma, p, centre), memory


def direction_of(direction: str, rows: jax.Array, message: Message, centre: Message) -> Message:
    """The direction of a lie, leaves `[1, ...]`.

    Args:
      direction: one of `DIRECTIONS`.
      rows: bool[s], the honest rows.
      message: leaves `[s, ...]`.
      centre: their mean, leaves `[1, ...]`.

    Raises:
      InputError: if the direction is unknown.
    """
    direction = checks.known("direction", direction, DIRECTIONS)
    if direction == "std":
        return tree.scale(-1.0, deviation(rows, message, centre, 1))
    if direction == "sign":
        return jax.tree.map(lambda x: -jnp.sign(x), centre)
    length = jnp.sqrt(tree.norm_squared(centre))
    return tree.scale(-1 / jnp.where(length > 0, length, 1), centre)
