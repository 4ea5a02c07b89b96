"""Low-rank factors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jdl.compressors.compressor import Compressor, floating
from jdl.compressors.identity import Identity
from jdl.types import Key, Message, PyTree, static

__all__ = ["LowRank", "as_matrix", "pays", "product", "product_of"]


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
      Vogels, Karimireddy, Jaggi 2019, PowerSGD, Algorithm 1 (there one iteration, started from the last Q; see
      `PowerSGD`).
    """

    rank: int = static(4, minimum=1)
    iterations: int = static(1, minimum=1)
    inner: Compressor = Identity()

    def init(self, message: Message) -> PyTree:
        numbers, _, _ = floating(message)
        return self.inner.init([self._shapes(x) for x in numbers])

    def __call__(self, memory: PyTree, message: Message, key: Key) -> tuple[Message, PyTree, jax.Array]:
        numbers, joined, other_bits = floating(message)
        start, inside = jax.random.split(key)
        keys = jax.random.split(start, max(1, len(numbers)))
        parts = [self._factors(x, key) for x, key in zip(numbers, keys, strict=False)]
        parts, memory, bits = self.inner(memory, parts, inside)
        sent = [
            x_parts[0] if len(x_parts) == 1 else product_of(*x_parts, x)
            for x, x_parts in zip(numbers, parts, strict=True)
        ]
        return joined(sent), memory, bits + jnp.float32(other_bits)

    def _factors(self, x: jax.Array, key: Key) -> tuple[jax.Array, ...]:
        """P and Q of one array, or the array where they are no smaller."""
        if not pays(x, self.rank):
            return (x,)
        matrix = as_matrix(x)
        q = jax.random.normal(key, (matrix.shape[1], self.rank), matrix.dtype)
        for _ in range(self.iterations):
            p, _ = jnp.linalg.qr(product(matrix, q))
            q = product(matrix.T, p)
        return p.astype(x.dtype), q.astype(x.dtype)

    def _shapes(self, x: jax.Array) -> tuple[jax.ShapeDtypeStruct, ...]:
        """The shapes of what `_factors` returns."""
        if not pays(x, self.rank):
            return (jax.ShapeDtypeStruct(x.shape, x.dtype),)
        sides = x.size // x.shape[-1], x.shape[-1]
        return tuple(jax.ShapeDtypeStruct((side, self.rank), x.dtype) for side in sides)


def pays(x: jax.Array, rank: int) -> bool:
    """Whether the factors of an array, as a matrix [..., last], are smaller than the array."""
    return x.ndim > 1 and x.size > 0 and rank * (x.size // x.shape[-1] + x.shape[-1]) < x.size


def as_matrix(x: jax.Array) -> jax.Array:
    """An array as the matrix [..., last]; there is no QR decomposition of numbers of less than 32 bits."""
    matrix = x.reshape(-1, x.shape[-1])
    return matrix.astype(jnp.float32) if x.dtype.itemsize < 4 else matrix


def product_of(p: jax.Array, q: jax.Array, x: jax.Array) -> jax.Array:
    """P Q^T in the shape of `x`."""
    return product(p, q.T).reshape(x.shape)


def product(a: jax.Array, b: jax.Array) -> jax.Array:
    """At full precision: with rounded products P P^T would be no projection."""
    return jnp.matmul(a, b, precision="highest")
