"""Low-rank factors by power iterations that go on from message to message."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.compressors.compressor import floating
from jdl.compressors.low_rank import as_matrix, pays, product, product_of
from jdl.types import Key, Message, static

__all__ = ["PowerSGD"]


@struct.dataclass
class PowerSGD:
    """Send each matrix M as P Q^T of a small rank, by one power iteration from the last Q: P = orth(M Q), Q <- M^T P.

    Where messages change slowly, the factors approach the best ones of this rank over the rounds, at the cost of one
    iteration each. A column of Q that is zero, as all are before the first message, is drawn from the key. Arrays of
    more axes are matrices `[..., last]`; vectors, scalars, and matrices that are no larger than their factors, are sent
    whole.

    Contraction: as `LowRank`, C(M) = P P^T M is a projection. The published method is `ErrorFeedback(PowerSGD(rank))`.

    Sends:
      rank (rows + columns) numbers a matrix.

    Memory:
      Q of the last message: rank columns for each matrix.

    Args:
      rank: number of columns of P and Q, at least 1.

    References:
      Vogels, Karimireddy, Jaggi 2019, PowerSGD: Practical Low-Rank Gradient Compression for Distributed Optimization,
      Algorithm 1 (there workers average P and Q before they multiply them; here the receiver averages the products).
    """

    rank: int = static(4, minimum=1)

    def init(self, message: Message) -> list[jax.Array]:
        numbers, _, _ = floating(message)
        return [jnp.zeros((x.shape[-1], self.rank), x.dtype) for x in numbers if pays(x, self.rank)]

    def __call__(
        self, memory: list[jax.Array], message: Message, key: Key
    ) -> tuple[Message, list[jax.Array], jax.Array]:
        numbers, joined, other_bits = floating(message)
        keys = jax.random.split(key, max(1, len(numbers)))
        last, sent, new, bits = iter(memory), [], [], jnp.float32(other_bits)
        for x, x_key in zip(numbers, keys, strict=False):
            if pays(x, self.rank):
                before = next(last)
                p, q = self._factors(x, before, x_key)
                new.append(q.astype(before.dtype))
                bits += (p.size + q.size) * x.dtype.itemsize * 8
                x = product_of(p, q, x)
            else:
                bits += x.size * x.dtype.itemsize * 8
            sent.append(x)
        return joined(sent), new, bits

    def _factors(self, x: jax.Array, last: jax.Array, key: Key) -> tuple[jax.Array, jax.Array]:
        """P and Q of one array, as they are sent."""
        matrix = as_matrix(x)
        drawn = jax.random.normal(key, last.shape, matrix.dtype)
        start = jnp.where(jnp.any(last != 0, axis=0), last.astype(matrix.dtype), drawn)
        p, r = jnp.linalg.qr(product(matrix, start))
        # QR leaves the signs of columns open. With a positive diagonal of R they do not depend on rounding errors.
        p = jnp.where(jnp.diagonal(r) < 0, -p, p)
        return p.astype(x.dtype), product(matrix.T, p).astype(x.dtype)
