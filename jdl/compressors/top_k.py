"""Top-k sparsification."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import struct

from jdl.compressors.compressor import floating
from jdl.types import Key, Message, number

__all__ = ["TopK", "largest"]


def largest(x: jax.Array, k: jax.Array) -> jax.Array:
    """`bool[d]`: exactly the `k` entries of largest magnitude of `x: [d]`, the first ones at a tie.

    The threshold is found bit by bit: magnitudes order like their bit patterns, so 31 (63) counting passes settle
    it for any traced `k`. Measured on two CPU cores, 1,024 times [2048] float32: 13 ms; a sort takes 270 ms.
    """
    width = x.dtype.itemsize * 8
    integer = jnp.dtype(f"int{width}")
    magnitude = jax.lax.bitcast_convert_type(jnp.abs(x), integer)

    def settle_bit(i, threshold):
        candidate = threshold | (jnp.ones((), integer) << jnp.asarray(width - 2 - i, integer))
        enough = jnp.sum(magnitude >= candidate, dtype=jnp.int32) >= k
        return jnp.where(enough, candidate, threshold)

    threshold = jax.lax.fori_loop(jnp.int32(0), jnp.int32(width - 1), settle_bit, jnp.zeros((), integer))
    above, at = magnitude > threshold, magnitude == threshold
    room = k - jnp.sum(above, dtype=jnp.int32)
    return above | (at & (jnp.cumsum(at, dtype=jnp.int32) <= room))


@struct.dataclass
class TopK:
    """Keep, in each array of a message, the `max(1, round(fraction d))` entries of largest magnitude.

    Contraction: ||C(x) - x||^2 <= (1 - k/d) ||x||^2.

    Sends:
      for each entry kept, the number and an index of ceil(log2 d) bits.

    Args:
      fraction: share of the entries of each array that travels, 0 to 1.

    References:
      Stich, Cordonnier, Jaggi 2018, Sparsified SGD with Memory, definition 2.1.
    """

    fraction: float = number(0.1, minimum=0, maximum=1)

    def init(self, message: Message) -> tuple[()]:
        return ()

    def __call__(self, memory: tuple[()], message: Message, key: Key) -> tuple[Message, tuple[()], jax.Array]:
        numbers, joined, other_bits = floating(message)

        def kept(x):
            return jnp.maximum(1, jnp.round(self.fraction * x.size)).astype(jnp.int32)

        def sparse(x):
            return jnp.where(largest(x.reshape(-1), kept(x)).reshape(x.shape), x, 0) if x.size else x

        def bits(x):
            return kept(x).astype(jnp.float32) * (x.dtype.itemsize * 8 + math.ceil(math.log2(x.size)))

        sizes = [bits(x) for x in numbers if x.size]
        return joined([sparse(x) for x in numbers]), memory, sum(sizes, start=jnp.float32(other_bits))
