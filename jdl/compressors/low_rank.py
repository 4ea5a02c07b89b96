"""Low-rank factors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.compressors.compressor import Compressor
from jdl.compressors.identity import Identity
from jdl.types import Key, Message, static

__all__ = ["LowRank"]


@struct.dataclass
class LowRank:
    """Send each matrix M as P Q^T of a small rank, found by power iteration: P = orth(M Q), Q = M^T P.

    The start of the iteration is drawn from the key. Arrays of more axes are matrices `[..., last]`; vectors, scalars,
    and matrices that are no larger than their factors, are sent whole. `inner` compresses what is sent, factors and
    arrays alike: with `Uniform(bits=4)` it is low rank, then int4.

    Contraction: without inner, C(M) = P P^T M is a projection, so ||C(M) - M||^2 = ||M||^2 - ||C(M)||^2, and never less
    than the tail of the singular values beyond the rank, which more iterations approach.

    Sends:
      rank (rows + columns) numbers a matrix, compressed by `inner`.

    Args:
      rank: number of columns of P and Q, at least 1.
      iterations: steps of the power iteration, at least 1.
      inner: compressor of the factors.

    References:
      Vogels, Karimireddy, Jaggi 2019, PowerSGD, Algorithm 1 (there one iteration, started from the last Q).
    """

    rank: int = static(4, minimum=1)
    iterations: int = static(1, minimum=1)
    inner: Compressor = Identity()

    def __call__(self, message: Message, key: Key) -> tuple[Message, jax.Array]:
        leaves, structure = jax.tree.flatten(message)
        start, inside = jax.random.split(key)
        keys = jax.random.split(start, max(1, len(leaves)))
        parts = [self.factors(x, key) if self.pays(x) else (x,) for x, key in zip(leaves, keys, strict=False)]
        parts, bits = self.inner(parts, inside)

        def joined(x, part):
            return product(part[0], part[1].T).reshape(x.shape) if self.pays(x) else part[0]

        return structure.unflatten([joined(x, part) for x, part in zip(leaves, parts, strict=True)]), bits

    def pays(self, x: jax.Array) -> bool:
        """Whether the factors of an array are smaller than the array."""
        return x.ndim > 1 and x.size > 0 and self.rank * (x.size // x.shape[-1] + x.shape[-1]) < x.size

    def factors(self, x: jax.Array, key: Key) -> tuple[jax.Array, jax.Array]:
        """P and Q of one array."""
        matrix = x.reshape(-1, x.shape[-1])
        if x.dtype.itemsize < 4:
            matrix = matrix.astype(jnp.float32)  # there is no QR decomposition of short numbers
        q = jax.random.normal(key, (matrix.shape[1], self.rank), matrix.dtype)
        for _ in range(self.iterations):
            p, _ = jnp.linalg.qr(product(matrix, q))
            q = product(matrix.T, p)
        return p.astype(x.dtype), q.astype(x.dtype)


def product(a: jax.Array, b: jax.Array) -> jax.Array:
    """At full precision: with rounded products P P^T would be no projection."""
    return jnp.matmul(a, b, precision="highest")
