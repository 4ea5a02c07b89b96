"""Low rank with one factor that is drawn at random and not sent."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.compressors.compressor import by_array, number_bits
from jdl.compressors.low_rank import as_matrix, product, product_of
from jdl.types import Key, Message, static

__all__ = ["RandomLowRank"]


@struct.dataclass
class RandomLowRank:
    """Send each matrix M as P Q^T, where Q has random orthonormal columns that both ends draw from a key: P = M Q.

    P is the best factor for this Q. C(M) = M Q Q^T is a projection on random directions, so
    E ||C(M) - M||^2 = (1 - rank / columns) ||M||^2. Arrays of more axes are matrices `[..., last]`. Vectors, scalars,
    and matrices of no more columns than the rank, are sent whole.

    Sends:
      rank numbers for each row of a matrix.

    Args:
      rank: number of columns of P and Q, at least 1.

    References:
      Konecny, McMahan, Yu, Richtarik, Suresh, Bacon 2016, Federated Learning: Strategies for Improving Communication
      Efficiency (structured updates of low rank; there the update is learnt in this form).
    """

    rank: int = static(4, minimum=1)

    def init(self, message: Message) -> tuple[()]:
        return ()

    def __call__(self, memory: tuple[()], message: Message, key: Key) -> tuple[Message, tuple[()], jax.Array]:
        sent, bits = by_array(self._projected, message, key)
        return sent, memory, bits

    def _projected(self, x: jax.Array, key: Key) -> tuple[jax.Array, int]:
        if x.ndim < 2 or x.shape[-1] <= self.rank:
            return x, x.size * number_bits(x)
        matrix = as_matrix(x)
        q, _ = jnp.linalg.qr(jax.random.normal(key, (matrix.shape[1], self.rank), matrix.dtype))
        p = product(matrix, q).astype(x.dtype)
        return product_of(p.astype(q.dtype), q, x).astype(x.dtype), p.size * number_bits(x)
