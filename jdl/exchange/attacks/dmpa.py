"""Liars that turn their messages around the direction that these have in common."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl import tree
from jdl.exchange.attacks.distances import apart, gram, inner_products
from jdl.exchange.attacks.liars import Attack, lying, same_for_all, travelling
from jdl.exchange.linear import Linear
from jdl.types import Exchange, Key, Message, PyTree, Wire

__all__ = ["DMPA"]


@struct.dataclass
class DMPA(Attack):
    """DMPA (reconstructed): liars reflect their messages in the direction that these share, and all send the mean.

    From the cosines C of all pairs of the liars' own messages x_b, v is the eigenvector of the largest eigenvalue and p
    the direction of sum_b v_b x_b / ||x_b||. All liars send the mean of x_b - 2 <x_b, p> p over the liars. No norm
    exceeds that of their largest message. A single liar flips the sign of its message.

    Sends:
      one false message, the same at all liars, of the same size as the true one.

    Memory:
      none between rounds; within a round the messages once more, and s^2 cosines of s messages.

    Args:
      inner: the exchange that receives the messages next.

    References:
      Feng, Li, Gao, Huertas Celdran, von der Assen, Bovet, Stiller 2025, DMPA: Model Poisoning Attacks on Decentralized
      Federated Learning for Model Differences (abstract and a summary read: a correlation matrix of liars' updates,
      its largest eigenvalue, a projection, a mean. The equations above are the project's reading of it).
    """

    inner: Exchange = Linear()

    def lies(self, memory: PyTree, wire: Wire, key: Key) -> tuple[Message, PyTree]:
        rows = lying(wire) & travelling(wire)
        own = apart(rows, wire.sent, same_for_all(wire.sent, 0.0))
        products = gram(own)
        length = jnp.sqrt(jnp.diagonal(products))
        inverse = 1 / jnp.where(length > 0, length, 1)
        _, vectors = jnp.linalg.eigh(products * inverse[:, None] * inverse[None, :])
        share = vectors[:, -1] * inverse
        p = _sum(share, own)
        size = jnp.sqrt(tree.norm_squared(p))
        p = tree.scale(1 / jnp.where(size > 0, size, 1), p)
        count = jnp.maximum(jnp.sum(rows, dtype=jnp.int32), 1)
        mean = jax.tree.map(lambda x: jnp.sum(x, axis=0, keepdims=True) / count.astype(x.dtype), own)
        return tree.axpy(-2 * inner_products(mean, p)[0], p, mean), memory


def _sum(weights: jax.Array, message: Message) -> Message:
    """The weighted sum of the rows, leaves `[1, ...]`."""
    return jax.tree.map(lambda x: jnp.sum(tree.column(weights.astype(x.dtype), x) * x, axis=0, keepdims=True), message)
